// The browser's half of the offset contract; ner/spans.py passes the same table in tests/ner.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  OffsetIndex,
  lineBounds,
  snap,
  stepCharacter,
  stepWord,
  tidy,
  wordAt,
} from "../../static/js/workbench/offsets.js";

const table = JSON.parse(readFileSync(new URL("../data/offsets.json", import.meta.url), "utf8"));

for (const { name, text, spans } of table) {
  test(`offsets: ${name}`, () => {
    const index = new OffsetIndex(text);
    for (const span of spans) {
      assert.equal(index.toUtf16(span.start), span.utf16_start);
      assert.equal(index.toUtf16(span.end), span.utf16_end);
      assert.equal(index.toCodePoint(span.utf16_start), span.start);
      assert.equal(index.toCodePoint(span.utf16_end), span.end);
      assert.equal(text.slice(span.utf16_start, span.utf16_end), span.surface);
    }
  });
}

test("every boundary of every text survives the way there and back, and no pair is cut", () => {
  for (const { text } of table) {
    const index = new OffsetIndex(text);
    const points = [...text];
    let unit = 0;
    for (let point = 0; point <= points.length; point += 1) {
      assert.equal(index.toUtf16(point), unit);
      assert.equal(index.toCodePoint(unit), point);
      if (points[point]?.length === 2) assert.throws(() => index.toCodePoint(unit + 1), RangeError);
      unit += points[point]?.length ?? 0;
    }
  }
});

test("a place inside a visible character snaps to its start", () => {
  assert.equal(snap("e\u0301a", 1), 0);
  assert.equal(snap("👨‍👩‍👧 Ann", 4), 0);
  assert.equal(snap("🇳🇴🇸🇪", 2), 0);
  assert.equal(snap("🇳🇴🇸🇪", 4), 4);
  assert.equal(snap("a\r\nb", 2), 1);
});

test("the caret steps over visible characters and words", () => {
  assert.equal(stepCharacter("👨‍👩‍👧 Ann", 0, 1), 8);
  assert.equal(stepCharacter("Jose\u0301", 5, -1), 3);
  assert.equal(stepCharacter("ab", 2, 1), 2);
  assert.equal(stepWord("Ada met Bob.", 3, 1), 7);
  assert.equal(stepWord("Ada met Bob.", 7, -1), 4);
  assert.equal(stepWord("Ada met Bob.", 11, 1), 12);
  assert.deepEqual(wordAt("Ada met Bob.", 3), { start: 0, end: 3 });
  assert.equal(wordAt("Ada -- met", 5), null);
});

test("words far into a long text are found without looking at all of it", () => {
  const text = "word ".repeat(50_000);
  assert.equal(stepWord(text, 200_000, 1), 200_004);
});

test("a selection loses blank edges, and never a part of a character", () => {
  assert.deepEqual(tidy(" Ann ", 0, 5), { start: 1, end: 4 });
  assert.deepEqual(tidy("Ann met", 7, 0), { start: 0, end: 7 });
  assert.deepEqual(tidy("\u200fAnn\u200e", 0, 5), { start: 1, end: 4 });
  assert.deepEqual(tidy("e\u0301a", 0, 1), { start: 0, end: 2 });
  assert.deepEqual(tidy("x👨‍👩‍👧", 2, 5), { start: 1, end: 9 });
  assert.equal(tidy("a  b", 1, 3), null);
});

test("lines end at CR, LF and CRLF, and at nothing else", () => {
  assert.deepEqual(lineBounds("a\r\nb\rc\n\u2028d"), [[0, 1], [3, 4], [5, 6], [7, 9]]);
  assert.deepEqual(lineBounds(""), [[0, 0]]);
});
