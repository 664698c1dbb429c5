// Spans in reading order, kept so by each change.

import assert from "node:assert/strict";
import test from "node:test";

import { SpanOrder, byPlace } from "../../static/js/workbench/order.js";

let seed = 11;
const random = (limit) => {
  seed = (seed * 1103515245 + 12345) % 2 ** 31;
  return seed % limit;
};
const span = (id) => {
  const start = random(200);
  return { id, start, end: start + 1 + random(random(9) ? 6 : 120), label: ["per", "geo"][random(2)] };
};

test("after any inserting and removing it is what sorting would give, and nothing that touches is missed", () => {
  const order = new SpanOrder([]);
  let all = [];
  for (let step = 0; step < 2_000; step += 1) {
    if (all.length && random(3) === 0) {
      const gone = all[random(all.length)];
      order.remove(gone);
      all = all.filter((other) => other !== gone);
    } else {
      const one = span(`h${step}`);
      order.insert(one);
      all.push(one);
    }
    const [start, end] = [random(200), random(330)];
    const touching = all.filter((other) => other.start < end && other.end > start).sort(byPlace);
    assert.deepEqual(order.touching(start, end), touching);
  }
  assert.deepEqual(order.all, [...all].sort(byPlace));
  for (const [at, one] of order.all.entries()) assert.equal(order.indexOf(one), at);
});

test("a span that is not there has no place", () => {
  const order = new SpanOrder([{ id: "a", start: 0, end: 2, label: "per" }]);
  assert.equal(order.indexOf({ id: "b", start: 0, end: 2, label: "per" }), -1);
});
