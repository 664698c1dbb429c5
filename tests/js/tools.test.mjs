// What the workbench's tools decide, without a page.

import assert from "node:assert/strict";
import test from "node:test";

import { WorkClock } from "../../static/js/workbench/clock.js";
import { above, acceptAll, alike, markAll, occurrences, rejectAll } from "../../static/js/workbench/equal.js";
import { isActive, passing, EVERYTHING } from "../../static/js/workbench/filter.js";
import { keyName, refusal, withOwn } from "../../static/js/workbench/keymap.js";
import { stepToken } from "../../static/js/workbench/offsets.js";
import { readLook } from "../../static/js/workbench/preferences.js";
import { matching } from "../../static/js/workbench/relabel.js";
import { Review } from "../../static/js/workbench/state.js";

const LABELS = ["per", "geo", "org"].map((name, hue) => ({ name, title: name, hue, pattern: 0, hotkey: String(hue + 1) }));

function review(text, spans, { allowOverlap = false, propagated = [] } = {}) {
  const task = { id: 1, text, labels: LABELS, number: 0, prediction: { version: "m@1", spans }, current: null, propagated };
  return new Review(task, { allowOverlap, sure: 0.8 });
}

const span = (text, surface, label, confidence, from = 0) => {
  const start = text.indexOf(surface, from);
  return { start, end: start + surface.length, label, confidence };
};
const brief = (work) => work.ordered.map((one) => `${work.surface(one)}/${one.label}/${one.state}`);

test("equal words are whole words, in any script", () => {
  assert.deepEqual(occurrences("Ann met Anna and Ann.", "Ann"), [[0, 3], [17, 20]]);
  assert.deepEqual(occurrences("Ann-Marie, O'Ann, (Ann)", "Ann"), [[0, 3], [13, 16], [19, 22]]);
  assert.deepEqual(occurrences("東京は東京都", "東京"), [[0, 2], [3, 5]], "scripts without spaces have no word edges");
  assert.deepEqual(occurrences("José Jose\u0301 Jose", "Jose"), [[11, 15]], "a letter with its accent is one");
  assert.deepEqual(occurrences("🎉Ann🎉", "Ann"), [[2, 5]]);
  assert.deepEqual(occurrences("aaa", "aa"), [], "never a part of a word");
  assert.deepEqual(occurrences("$5 and $50", "$5"), [[0, 2]]);
});

test("one decision for all equal words leaves alone what a person decided, and is one step", () => {
  const text = "London, London, London and London";
  const work = review(text, [span(text, "London", "geo", 0.9), span(text, "London", "org", 0.5, 8)]);
  const own = work.add(16, 22, "per").span;
  const first = work.ordered[0];
  work.accept(first.id);
  const { marks, rejects } = alike(work, work.spans.get(first.id));
  assert.deepEqual(marks, [[8, 14], [27, 33]]);
  assert.deepEqual(rejects.map(({ id }) => id), ["s1"]);
  assert.equal(markAll(work, marks, "geo"), true);
  assert.deepEqual(brief(work), ["London/geo/accepted", "London/geo/changed", "London/per/human", "London/geo/human"]);
  work.undo();
  assert.deepEqual(brief(work), ["London/geo/accepted", "London/org/suggested", "London/per/human"]);
  assert.equal(rejectAll(work, rejects), true);
  assert.equal(work.spans.get("s1").state, "rejected");
  assert.ok(work.spans.has(own.id));
});

test("all above a confidence are accepted in one step; of two that overlap the surer one", () => {
  const text = "Ada Lovelace met Ann";
  const work = review(text, [
    span(text, "Ada Lovelace", "per", 0.95),
    span(text, "Lovelace met", "org", 0.85),
    span(text, "Ann", "per", 0.4),
  ]);
  const chosen = above(work, 0.8);
  assert.deepEqual(chosen.map(({ id }) => id), ["s0", "s1"]);
  assert.equal(acceptAll(work, chosen), true);
  assert.deepEqual(brief(work), ["Ada Lovelace/per/accepted", "Lovelace met/org/rejected", "Ann/per/suggested"]);
  work.undo();
  assert.deepEqual(brief(work).map((words) => words.split("/")[2]), ["suggested", "suggested", "suggested"]);
  work.redo();
  assert.equal(work.spans.get("s0").state, "accepted");
  assert.equal(acceptAll(work, []), false);
  assert.equal(work.past.length, 1);
});

test("what is no entity elsewhere begins as rejected here, and can be taken back", () => {
  const text = "Ada met Ann";
  const work = review(text, [span(text, "Ada", "per", 0.9)], { propagated: [span(text, "Ada", "")] });
  assert.deepEqual(brief(work), ["Ada/per/rejected"]);
  work.reject("s0");
  assert.deepEqual(brief(work), ["Ada/per/suggested"]);
});

test("what was propagated is a proposal, to be accepted, rejected or taken back", () => {
  const text = "Ada met Ann";
  const work = review(text, [span(text, "Ada", "per", 0.9)], { propagated: [span(text, "Ann", "per")] });
  assert.deepEqual(brief(work), ["Ada/per/suggested", "Ann/per/propagated"]);
  work.reject("p0");
  assert.equal(work.spans.get("p0").state, "rejected");
  work.reject("p0");
  assert.equal(work.spans.get("p0").state, "propagated");
  work.accept("p0");
  assert.equal(work.spans.get("p0").state, "accepted");
});

test("a filter lets through by label, sureness, words and what is undecided", () => {
  const text = "Ada met Ann";
  const work = review(text, [span(text, "Ada", "per", 0.9), span(text, "Ann", "geo", 0.4)]);
  const shown = (set) => work.ordered.filter(passing(work, { ...EVERYTHING, ...set })).map(({ id }) => id);
  assert.deepEqual(shown({}), ["s0", "s1"]);
  assert.deepEqual(shown({ label: "geo" }), ["s1"]);
  assert.deepEqual(shown({ atMost: 0.5 }), ["s1"]);
  assert.deepEqual(shown({ words: " aD" }), ["s0"]);
  work.accept("s1");
  assert.deepEqual(shown({ onlyOpen: true }), ["s0"]);
  assert.equal(isActive(EVERYTHING), false);
  work.isShown = passing(work, { ...EVERYTHING, label: "per" });
  work.activate(null);
  assert.equal(work.neighbour(1).id, "s0");
  work.activate("s0");
  assert.equal(work.neighbour(1), null, "the keys pass over what is not shown");
});

const ROWS = [
  [["j"], "next", "next span"],
  [["a"], "accept", "accept the span"],
  [["Alt+ArrowRight"], "endRight", "move the end"],
];

test("a key of one's own replaces the key, and one that is taken is refused with the reason", () => {
  assert.deepEqual(withOwn(ROWS, { accept: ["y"] })[1], [["y"], "accept", "accept the span"]);
  assert.equal(refusal(ROWS, LABELS, "accept", "y"), null);
  assert.equal(refusal(ROWS, LABELS, "accept", "a"), null, "its own key is no clash");
  assert.match(refusal(ROWS, LABELS, "accept", "j"), /taken: next span/);
  assert.match(refusal(ROWS, LABELS, "accept", "2"), /marks geo/);
  assert.match(refusal(ROWS, LABELS, "accept", "Ctrl+Alt+ArrowRight"), /taken: move the end/);
  assert.match(refusal(ROWS, LABELS, "accept", "Tab"), /controls/);
  assert.match(refusal(ROWS, LABELS, "accept", "Ctrl+w"), /browser/);
});

test("keys are named alike on every keyboard", () => {
  const key = (value, more = {}) => keyName({ key: value, ...more });
  assert.equal(key("A", { shiftKey: true }), "Shift+a");
  assert.equal(key("=", { shiftKey: true }), "=", "a sign already says that Shift was held");
  assert.equal(key(" "), "Space");
  assert.equal(key("ArrowRight", { altKey: true, shiftKey: true, ctrlKey: true }), "Ctrl+Alt+Shift+ArrowRight");
  assert.equal(key("Shift", { shiftKey: true }), "");
});

test("a label is found by what one types of its name", () => {
  const labels = [["per", "Person"], ["perf", "Performance"], ["comp", "Company of persons"], ["x", "Sniper"]].map(
    ([name, title]) => ({ name, title }),
  );
  const names = (typed) => matching(labels, typed).map(({ name }) => name);
  assert.deepEqual(names("per"), ["per", "perf", "comp", "x"], "exact, beginning, beginning of a word, inside");
  assert.deepEqual(names("perso"), ["per", "comp"]);
  assert.deepEqual(names(""), ["per", "perf", "comp", "x"]);
  assert.deepEqual(names("zz"), []);
});

test("a token is a word or a sign by itself", () => {
  const text = "Ada, (Ann)";
  assert.equal(stepToken(text, 3, 1), 4);
  assert.equal(stepToken(text, 4, 1), 6);
  assert.equal(stepToken(text, 10, -1), 9);
  assert.equal(stepToken(text, 0, -1), 0);
});

test("long pauses count as a minute, hidden pages not at all, and a bulk decision shares its time", () => {
  let now = 0;
  const clock = new WorkClock(() => now);
  now = 600_000;
  assert.equal(clock.pass(), 60_000);
  now += 1_000;
  clock.setAway(true);
  now += 50_000;
  clock.setAway(false);
  now += 2_000;
  clock.spend(["a", "b"]);
  assert.equal(clock.milliseconds, 63_000);
  assert.deepEqual(clock.decisions, { a: 1_000, b: 1_000 });
});

test("a strange cookie is the default look", () => {
  assert.deepEqual(readLook("theme=dark; workbench=size-21.no-side"), { size: 21, away: ["side"] });
  assert.deepEqual(readLook("workbench=size-99.<b>"), { size: 18, away: [] });
  assert.deepEqual(readLook(""), { size: 18, away: [] });
});
