/**
 * Places in a text. The server counts code points, the browser UTF-16 units; they are converted here and
 * nowhere else. tests/data/offsets.json is the table that this file and ner/spans.py both pass.
 */

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const words = new Intl.Segmenter(undefined, { granularity: "word" });
const WINDOW = 256;

/** Converts between the two counts; each look-up is logarithmic. */
export class OffsetIndex {
  #astral = [];
  #units = [];

  constructor(text) {
    let point = 0;
    for (let unit = 0; unit < text.length; point += 1) {
      const wide = text.codePointAt(unit) > 0xffff;
      if (wide) {
        this.#astral.push(point);
        this.#units.push(unit);
      }
      unit += wide ? 2 : 1;
    }
  }

  /** The UTF-16 offset of a code point offset. */
  toUtf16(point) {
    return point + countBelow(this.#astral, point);
  }

  /** The code point offset of a UTF-16 offset; one inside a surrogate pair is an error. */
  toCodePoint(unit) {
    const rank = countBelow(this.#units, unit);
    if (rank > 0 && this.#units[rank - 1] + 1 === unit) {
      throw new RangeError(`UTF-16 offset ${unit} lies inside one character`);
    }
    return unit - rank;
  }
}

/** How many of the sorted numbers are below the limit. */
function countBelow(numbers, limit) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The segment around an offset: only its neighbourhood is looked at, texts may be long. */
function around(segmenter, text, unit) {
  let from = Math.max(0, unit - WINDOW);
  let to = Math.min(text.length, unit + WINDOW);
  if (isLowSurrogate(text, from)) from -= 1;
  if (isLowSurrogate(text, to)) to += 1;
  const found = segmenter.segment(text.slice(from, to)).containing(unit - from);
  if (!found) return null;
  const start = from + found.index;
  return { start, end: start + found.segment.length, isWord: Boolean(found.isWordLike) };
}

function isLowSurrogate(text, unit) {
  const code = text.charCodeAt(unit);
  return code >= 0xdc00 && code <= 0xdfff;
}

/** The place itself, or the start of the visible character that it would cut. */
export function snap(text, unit) {
  if (unit <= 0) return 0;
  if (unit >= text.length) return text.length;
  return around(graphemes, text, unit).start;
}

/** The next place between two visible characters; direction is 1 or -1. */
export function stepCharacter(text, unit, direction) {
  if (direction > 0) return unit >= text.length ? text.length : around(graphemes, text, unit).end;
  return unit <= 0 ? 0 : around(graphemes, text, unit - 1).start;
}

/** The next edge of a word in a direction: its end going on, its start going back. */
export function stepWord(text, unit, direction) {
  let place = unit;
  while (direction > 0 ? place < text.length : place > 0) {
    const found = around(words, text, direction > 0 ? place : place - 1);
    place = direction > 0 ? found.end : found.start;
    if (found.isWord) break;
  }
  return place;
}

/** The next edge of a token in a direction; a token is a word or a sign by itself. */
export function stepToken(text, unit, direction) {
  let place = unit;
  while (direction > 0 ? place < text.length : place > 0) {
    const found = around(words, text, direction > 0 ? place : place - 1);
    place = direction > 0 ? found.end : found.start;
    if (/\S/.test(text.slice(found.start, found.end))) break;
  }
  return place;
}

/** The word at a place, or the one that ends there; null between words. */
export function wordAt(text, unit) {
  for (const place of [unit, unit - 1]) {
    if (place < 0 || place >= text.length) continue;
    const found = around(words, text, place);
    if (found.isWord) return { start: found.start, end: found.end };
  }
  return null;
}

const EDGE = /^[\s\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+/u;
const EDGE_END = /[\s\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+$/u;

/** A selection without blank edges and without cut characters; null when nothing is left. */
export function tidy(text, start, end) {
  let from = snap(text, Math.min(start, end));
  let to = Math.max(start, end);
  const snapped = snap(text, to);
  if (snapped !== to) to = stepCharacter(text, snapped, 1);
  const surface = text.slice(from, to);
  from += EDGE.exec(surface)?.[0].length ?? 0;
  to -= EDGE_END.exec(surface)?.[0].length ?? 0;
  // A joiner inside a visible character is not an edge: never give back a cut one.
  from = snap(text, from);
  return from < to ? { start: from, end: to } : null;
}

/** The lines of a text as [start, end) pairs; the line break belongs to no line. */
export function lineBounds(text) {
  const bounds = [];
  let start = 0;
  for (const match of text.matchAll(/\r\n|\n|\r/g)) {
    bounds.push([start, match.index]);
    start = match.index + match[0].length;
  }
  bounds.push([start, text.length]);
  return bounds;
}
