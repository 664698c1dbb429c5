// The reviewer's work as a model, without a page.

import assert from "node:assert/strict";
import test from "node:test";

import { compare } from "../../static/js/workbench/conflict.js";
import { Review } from "../../static/js/workbench/state.js";

const LABELS = ["per", "geo", "org"].map((name, hue) => ({ name, title: name, hue, pattern: 0, hotkey: "" }));
const TEXT = "🎉 Ada Lovelace met Ann in London";

function review({ allowOverlap = false, current = null } = {}) {
  const spans = [
    { start: 2, end: 14, label: "per", confidence: 0.9 },
    { start: 26, end: 32, label: "geo", confidence: 0.4 },
  ];
  const task = { id: 1, text: TEXT, labels: LABELS, number: current ? 1 : 0, prediction: { version: "m@1", spans }, current };
  return new Review(task, { allowOverlap, sure: 0.8 });
}

const brief = (work) => work.ordered.map((span) => `${work.surface(span)}/${span.label}/${span.state}`);
const result = (work) => work.result.map((span) => `${span.start}-${span.end} ${span.text} ${span.label}`);

test("what is not rejected is agreed with", () => {
  const work = review();
  assert.deepEqual(result(work), ["2-14 Ada Lovelace per", "26-32 London geo"]);
  work.reject("s1");
  assert.deepEqual(result(work), ["2-14 Ada Lovelace per"]);
  assert.deepEqual(work.result.map((span) => [...TEXT].slice(span.start, span.end).join("")), ["Ada Lovelace"]);
});

test("the least certain suggestion comes first among the undecided", () => {
  const work = review();
  assert.deepEqual(work.undecided.map((span) => span.id), ["s1", "s0"]);
  assert.equal(work.isUnsure(work.spans.get("s1")), true);
  work.accept("s1");
  assert.deepEqual(work.undecided.map((span) => span.id), ["s0"]);
});

test("a new span stands instead of those in its way, in one step", () => {
  const work = review();
  work.add(7, 19, "org");
  assert.deepEqual(brief(work), ["Ada Lovelace/per/rejected", "Lovelace met/org/human", "London/geo/suggested"]);
  work.undo();
  assert.deepEqual(brief(work), ["Ada Lovelace/per/suggested", "London/geo/suggested"]);
});

test("where overlaps are allowed nothing is in the way", () => {
  const work = review({ allowOverlap: true });
  work.add(7, 19, "org");
  assert.deepEqual(brief(work)[0], "Ada Lovelace/per/suggested");
  work.add(3, 15, "org");
  assert.equal(work.spans.size, 4, "two labels at one place are two spans");
});

test("taking a rejected span back removes what had replaced it", () => {
  const work = review();
  work.add(7, 19, "org");
  work.accept("s0");
  assert.deepEqual(brief(work), ["Ada Lovelace/per/accepted", "London/geo/suggested"]);
});

test("a change that ends where the model began is an acceptance", () => {
  const work = review();
  work.relabel("s1", "org");
  assert.equal(work.spans.get("s1").state, "changed");
  work.relabel("s1", "geo");
  assert.equal(work.spans.get("s1").state, "accepted");
});

test("a human's own span goes when it is not wanted, the machine's stays to be seen", () => {
  const work = review();
  const { span } = work.add(20, 23, "per");
  work.reject(span.id);
  work.reject("s0");
  assert.deepEqual(brief(work), ["Ada Lovelace/per/rejected", "London/geo/suggested"]);
  work.reject("s0");
  assert.equal(work.spans.get("s0").state, "suggested");
});

test("edges stop at the neighbours and at the ends of the text", () => {
  const work = review();
  work.resize("s0", 0, TEXT.length);
  assert.equal(work.surface(work.spans.get("s0")), "🎉 Ada Lovelace met Ann in ");
  assert.equal(work.resize("s0", 0, TEXT.length), false);
});

test("a drag of an edge is one step, however many places it passes", () => {
  const work = review();
  for (const end of [14, 13, 12, 8]) work.resize("s0", 3, end, { join: true });
  work.closeStep();
  work.resize("s0", 3, 6, { join: true });
  work.undo();
  assert.equal(work.surface(work.spans.get("s0")), "Ada L");
  work.undo();
  assert.equal(work.surface(work.spans.get("s0")), "Ada Lovelace");
  assert.equal(work.undo(), false);
});

test("any walk through undo and redo comes back to the same spans", () => {
  let seed = 7;
  const random = (limit) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % limit;
  };
  for (let round = 0; round < 200; round += 1) {
    const work = review({ allowOverlap: round % 2 === 0 });
    const states = [JSON.stringify(work.ordered)];
    for (let step = 0; step < 12; step += 1) {
      const ids = [...work.spans.keys()];
      const id = ids[random(ids.length)];
      const start = 2 + random(TEXT.length - 3); // past the emoji: the page never cuts a character
      const before = work.past.length;
      [
        () => work.add(start, start + 1 + random(TEXT.length - start - 1), LABELS[random(3)].name),
        () => work.accept(id),
        () => work.reject(id),
        () => work.relabel(id, LABELS[random(3)].name),
        () => work.resize(id, start, start + 1 + random(8)),
      ][random(5)]();
      if (!work.spans.size) break;
      if (work.past.length > before) states.push(JSON.stringify(work.ordered));
    }
    const last = states.at(-1);
    for (let at = states.length - 2; at >= 0; at -= 1) {
      work.undo();
      assert.equal(JSON.stringify(work.ordered), states[at]);
    }
    while (work.redo());
    assert.equal(JSON.stringify(work.ordered), last);
  }
});

test("a draft brought back through JSON is the same work, history included", () => {
  const work = review();
  work.reject("s0");
  work.add(20, 23, "per");
  const again = review();
  again.restore(JSON.parse(JSON.stringify(work.draft)));
  assert.deepEqual(brief(again), brief(work));
  again.undo();
  again.undo();
  assert.deepEqual(brief(again), ["Ada Lovelace/per/suggested", "London/geo/suggested"]);
});

test("time is told by the machine's span, in code points", () => {
  const work = review();
  work.relabel("s1", "org");
  work.add(20, 23, "per");
  assert.deepEqual(Object.keys(work.clock.decisions), ["26:32:geo", "19:22:per"]);
});

test("from a human's correction nothing is a suggestion", () => {
  const work = review({ current: { number: 1, spans: [{ start: 2, end: 5, label: "per", text: "Ada" }] } });
  assert.deepEqual(brief(work), ["Ada/per/human"]);
  assert.equal(work.draft.number, 1);
});

test("two versions are told apart span by span", () => {
  const span = (start, end, label) => ({ start, end, label });
  const found = compare([span(0, 1, "a"), span(2, 3, "a")], [span(0, 1, "a"), span(2, 3, "b")]);
  assert.deepEqual(found.common, [span(0, 1, "a")]);
  assert.deepEqual(found.onlyMine, [span(2, 3, "a")]);
  assert.deepEqual(found.onlyTheirs, [span(2, 3, "b")]);
});
