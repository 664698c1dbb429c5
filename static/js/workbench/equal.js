/** The same words elsewhere in the text, and what one decision for all of them would change. */

import { isOpen } from "./state.js";

const JOINED = /[\p{L}\p{N}\p{M}_]/u;
/** Scripts written without spaces: a word may end anywhere in them. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const MARK = /[\p{M}\u200d]/u;

/** Where the words stand as whole words, as [start, end) pairs. */
export function occurrences(text, surface) {
  const found = [];
  for (let at = text.indexOf(surface); at >= 0; at = text.indexOf(surface, at + 1)) {
    const end = at + surface.length;
    if (isEdge(text, at) && isEdge(text, end)) found.push([at, end]);
  }
  return found;
}

/** May a word begin or end here? */
function isEdge(text, place) {
  if (place <= 0 || place >= text.length) return true;
  const [before, after] = [characterBefore(text, place), String.fromCodePoint(text.codePointAt(place))];
  if (MARK.test(after)) return false;
  if (!JOINED.test(before) || !JOINED.test(after)) return true;
  return UNSPACED.test(before) || UNSPACED.test(after);
}

function characterBefore(text, place) {
  const low = text.charCodeAt(place - 1);
  const isPair = low >= 0xdc00 && low <= 0xdfff && place > 1;
  return text.slice(place - (isPair ? 2 : 1), place);
}

/**
 * What could be decided alike: `marks`, places to be marked with the span's label, and `rejects`, spans to be rejected.
 * What a person decided before stays out of both.
 */
export function alike(review, span) {
  const marks = [];
  const rejects = [];
  for (const [start, end] of occurrences(review.text, review.surface(span))) {
    if (start === span.start && end === span.end) continue;
    const here = review.touching(start, end).filter((other) => other.id !== span.id && other.state !== "rejected");
    const same = here.filter((other) => other.start === start && other.end === end);
    rejects.push(...same.filter(isOpen));
    const isDecided = here.some((other) => !isOpen(other) && !(review.allowOverlap && !same.includes(other)));
    if (!isDecided) marks.push([start, end]);
  }
  return { marks, rejects };
}

/** Mark all places with a label, as one step. */
export function markAll(review, places, label) {
  return review.together(() => {
    for (const [start, end] of places) {
      const same = review.touching(start, end).find((span) => span.start === start && span.end === end);
      if (!same) review.add(start, end, label);
      else if (same.label === label) review.accept(same.id);
      else review.relabel(same.id, label);
    }
  });
}

/** Reject all of these, as one step. */
export function rejectAll(review, spans) {
  return review.together(() => spans.forEach((span) => review.reject(span.id)));
}

/** The suggestions that are at least so sure, among those that the filter shows; the surest first. */
export function above(review, threshold) {
  return review.undecided.filter((span) => (span.machine.confidence ?? 0) >= threshold).reverse();
}

/** Accept all of these, as one step; of two that overlap where none may, the surer one. */
export function acceptAll(review, spans) {
  return review.together(() => {
    for (const { id } of spans) {
      const span = review.spans.get(id);
      if (isOpen(span)) review.accept(id);
    }
  });
}
