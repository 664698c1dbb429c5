/**
 * Painting the text. The server painted the first view (templates/labeling/review.html); from then on a change
 * repaints only the pieces of text that it touches.
 */

import { t } from "../i18n.js";
import { make } from "./dom.js";
import { lineBounds, snap } from "./offsets.js";

const PIECE = 2000;
/** A line of more pieces than this is laid out piece by piece: none of them is too long to change at once. */
const LONG_LINE = 3;

export class TextView {
  #pieces = [];
  #indices = null;
  #caret = null;

  constructor(root) {
    this.root = root;
  }

  /** Show a review. With `painted`, the server's markup is already the right picture. */
  show(review, { painted = false } = {}) {
    this.review = review;
    this.#caret = null;
    this.#indices = null;
    this.root.classList.toggle("is-empty", review.text.length === 0);
    if (painted && this.#adopt()) return;
    const lines = lineBounds(review.text).map((bounds) => pieceBounds(review.text, ...bounds));
    const made = lines.map((pieces) => lineElement(pieces.length));
    const elements = made.flatMap((line) => [...line.children]);
    this.#pieces = lines.flat().map(([start, end], index) => ({ start, end, element: elements[index] }));
    // Painted before it stands in the page: there each change would be accounted for.
    this.#pieces.forEach((piece) => this.#paint(piece));
    this.root.replaceChildren(...made);
  }

  /** Take over what the server painted; false when it is not, to the character, this text. */
  #adopt() {
    const { text } = this.review;
    const lines = [...this.root.children];
    const bounds = lineBounds(text);
    if (lines.length !== bounds.length) return false;
    this.#pieces = [];
    for (const [index, [start, end]] of bounds.entries()) {
      let at = start;
      for (const element of lines[index].children) {
        const shown = element.textContent;
        if (text.slice(at, at + shown.length) !== shown) return false;
        this.#pieces.push({ start: at, end: at + shown.length, element });
        at += shown.length;
      }
      if (at !== end) return false;
    }
    return true;
  }

  /** Repaint what touches the given ranges. */
  paint(ranges) {
    const touched = new Set();
    for (const [start, end] of ranges) {
      for (let at = this.#pieceAt(start); at < this.#pieces.length && this.#pieces[at].start <= end; at += 1) {
        touched.add(this.#pieces[at]);
      }
    }
    touched.forEach((piece) => this.#paint(piece));
  }

  /** Paint everything again: what is shown has changed. */
  repaint() {
    this.#pieces.forEach((piece) => this.#paint(piece));
  }

  /** The caret of the caret mode, or null. */
  setCaret(place) {
    const before = this.#caret;
    this.#caret = place;
    this.paint([before, place].filter((at) => at !== null).map((at) => [at, at]));
    this.root.querySelector(".caret")?.scrollIntoView({ block: "nearest" });
  }

  /** The first element of a span, where its name and its focus are. */
  elementOf(id) {
    return this.root.querySelector(`[data-id~="${CSS.escape(id)}"]`);
  }

  /** Put the focus on the active span, and it into view. */
  reveal(id, { focus = true } = {}) {
    const element = this.elementOf(id);
    if (!element) return;
    if (focus) element.closest(".seg").focus({ preventScroll: true });
    const box = element.getBoundingClientRect();
    const frame = this.root.closest(".wb-page").getBoundingClientRect();
    if (box.top < frame.top + 8 || box.bottom > frame.bottom - 8) element.scrollIntoView({ block: "center" });
  }

  scrollTo(offset) {
    this.#pieces[this.#pieceAt(offset)].element.scrollIntoView({ block: "center" });
  }

  /** Which way the text runs at a place: ltr or rtl. */
  directionAt(offset) {
    const line = this.#pieces[this.#pieceAt(offset)].element.closest(".line");
    return getComputedStyle(line).direction;
  }

  /** Where a stretch of text is on the screen. */
  boxOf({ start, end }) {
    const range = document.createRange();
    const [from, to] = [this.#position(start), this.#position(end)];
    range.setStart(from.node, from.offset);
    range.setEnd(to.node, to.offset);
    return range.getBoundingClientRect();
  }

  /** Where each part of the text stands from the top of the page, for the minimap. */
  tops() {
    const page = this.root.closest(".wb-page");
    const origin = page.getBoundingClientRect().top - page.scrollTop;
    const parts = [];
    for (const { start, end, element } of this.#pieces) {
      // What is laid out as a whole, for asking after a part of it would lay out all that nobody looks at.
      const line = element.parentElement;
      const block = line.classList.contains("long") ? element : line;
      if (parts.at(-1)?.block === block) parts.at(-1).end = end;
      else parts.push({ block, start, end });
    }
    return parts.map(({ block, start, end }) => {
      const { top, height } = block.getBoundingClientRect();
      return { start, end, top: top - origin, height };
    });
  }

  // --- From the screen to the text and back -----------------------------------------------------------

  /** The offset in the text of a position in the document; null outside the text. */
  offsetOf(node, inNode) {
    if (!this.root.contains(node)) return null;
    const element = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node).closest(".piece");
    if (!element) return this.#offsetBetween(node, inNode);
    const piece = this.#pieces[this.#indexOf(element)];
    const range = document.createRange();
    range.selectNodeContents(element);
    range.setEnd(node, inNode);
    return piece.start + range.toString().length;
  }

  /** A triple click ends before the next line, not in a text. */
  #offsetBetween(node, inNode) {
    const next = node.childNodes[inNode];
    const element = next instanceof Element ? (next.querySelector(".piece") ?? next.closest(".piece")) : null;
    if (element) return this.#pieces[this.#indexOf(element)].start;
    const line = node instanceof Element ? node.closest(".line") : null;
    const last = line?.querySelector(".piece:last-child");
    return last ? this.#pieces[this.#indexOf(last)].end : this.review.text.length;
  }

  #indexOf(element) {
    this.#indices ??= new Map(this.#pieces.map((piece, index) => [piece.element, index]));
    return this.#indices.get(element);
  }

  /** The place in the text under a point of the screen. */
  offsetAt(x, y) {
    const position = document.caretPositionFromPoint(x, y);
    if (!position) return null;
    const offset = this.offsetOf(position.offsetNode, position.offset);
    return offset === null ? null : snap(this.review.text, offset);
  }

  /** The selected range, in order; null when there is none or it is not in the text. */
  get selection() {
    const selection = getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return null;
    const range = selection.getRangeAt(0);
    const start = this.offsetOf(range.startContainer, range.startOffset);
    const end = this.offsetOf(range.endContainer, range.endOffset);
    return start === null || end === null ? null : [Math.min(start, end), Math.max(start, end)];
  }

  select(anchor, focus) {
    const [from, to] = [this.#position(anchor), this.#position(focus)];
    getSelection().setBaseAndExtent(from.node, from.offset, to.node, to.offset);
  }

  /** A stretch of the text as the browser knows it. */
  rangeOf(start, end) {
    const range = document.createRange();
    const [from, to] = [this.#position(start), this.#position(end)];
    range.setStart(from.node, from.offset);
    range.setEnd(to.node, to.offset);
    return range;
  }

  #position(offset) {
    const piece = this.#pieces[this.#pieceAt(offset)];
    const walker = document.createTreeWalker(piece.element, NodeFilter.SHOW_TEXT);
    let left = Math.min(offset, piece.end) - piece.start;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (left <= node.length) return { node, offset: left };
      left -= node.length;
    }
    return { node: piece.element, offset: 0 };
  }

  /** The screen's rectangle of a place, for moving the caret up and down by lines as they are seen. */
  caretBox() {
    return this.root.querySelector(".caret")?.getBoundingClientRect() ?? null;
  }

  // --- Inside -----------------------------------------------------------------------------------------

  /** The piece that holds a place: the last one that starts at or before it. */
  #pieceAt(offset) {
    let low = 0;
    let high = this.#pieces.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#pieces[middle].start <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #paint({ start, end, element }) {
    const { review } = this;
    const spans = review.touching(start, end);
    const edges = new Set([start, end]);
    for (const span of spans) {
      if (span.start > start) edges.add(span.start);
      if (span.end < end) edges.add(span.end);
    }
    if (this.#caret !== null && this.#caret >= start && this.#caret <= end) edges.add(this.#caret);
    const ordered = [...edges].sort((a, b) => a - b);
    const children = [];
    for (let at = 0; at < ordered.length; at += 1) {
      if (ordered[at] === this.#caret) children.push(make("span", { class: "caret", "aria-hidden": "true" }));
      if (at + 1 < ordered.length) children.push(this.#segment(ordered[at], ordered[at + 1], spans));
    }
    element.replaceChildren(...children);
  }

  #segment(start, end, spans) {
    const text = document.createTextNode(this.review.text.slice(start, end));
    const covering = spans.filter((span) => span.start < end && span.end > start);
    let inner = text;
    for (let depth = covering.length - 1; depth >= 0; depth -= 1) {
      inner = this.#layer(covering[depth], inner, start, end, covering.length - 1 - depth);
    }
    if (covering.length) this.#name(inner, covering, start);
    return inner;
  }

  #layer(span, inner, start, end, up) {
    const { review } = this;
    const label = review.labels.get(span.label) ?? { hue: 0, pattern: 0 };
    const classes = ["mark", `hue-${label.hue}`, `pattern-${label.pattern}`, span.state];
    if (up) classes.push(`up-${Math.min(up, 3)}`);
    if (review.isUnsure(span)) classes.push("unsure");
    if (span.id === review.active) classes.push("active");
    else if (!review.isShown(span)) classes.push("dimmed");
    const isFirst = span.start === start;
    const isLast = span.end === end;
    if (isFirst) classes.push("first");
    if (isLast) classes.push("last");
    const element = make("span", {
      class: classes.join(" "),
      "data-id": span.id,
      "data-tag": isLast ? span.label : null,
    });
    element.append(inner);
    if (span.id === review.active) {
      if (isFirst) element.prepend(make("span", { class: "handle start", "aria-hidden": "true" }));
      if (isLast) element.append(make("span", { class: "handle end", "aria-hidden": "true" }));
    }
    return element;
  }

  /** The outermost layer speaks for all spans that begin here. */
  #name(element, covering, start) {
    element.classList.add("seg");
    const beginning = covering.filter((span) => span.start === start);
    if (!beginning.length) return;
    element.setAttribute("role", "button");
    element.setAttribute("aria-label", beginning.map((span) => describe(this.review, span)).join("; "));
    // Only here: a tabindex on every span would keep a drag from starting at its first letter.
    const isActive = beginning.some((span) => span.id === this.review.active);
    if (isActive) element.setAttribute("tabindex", "0");
  }
}

/** A span in words, as a screen reader says it. */
export function describe(review, span) {
  const label = review.labels.get(span.label)?.title ?? span.label;
  const sure =
    span.state === "suggested" && span.machine?.confidence !== null && span.machine
      ? t("{percent} percent sure", { percent: Math.round(span.machine.confidence * 100) })
      : "";
  return [review.surface(span), label, shortState(span), sure].filter(Boolean).join(", ");
}

function shortState(span) {
  return {
    suggested: t("suggested"),
    propagated: t("proposed"),
    accepted: t("accepted"),
    rejected: t("rejected"),
    changed: t("changed"),
  }[span.state];
}

/** How a span came to be as it is, in words. */
export function stateWords(span) {
  return {
    suggested: t("suggested by the model"),
    propagated: t("as decided in another text"),
    accepted: t("accepted"),
    rejected: t("rejected"),
    changed: t("changed by you"),
    human: t("marked by a person"),
  }[span.state];
}

function lineElement(pieces) {
  const line = make("div", { class: pieces > LONG_LINE ? "line long" : "line", dir: "auto" });
  for (let index = 0; index < pieces; index += 1) line.append(make("span", { class: "piece" }));
  return line;
}

/** Lines longer than this are painted in pieces, cut between words where there are any. */
function pieceBounds(text, start, end) {
  const bounds = [];
  let from = start;
  while (end - from > PIECE) {
    const blank = text.lastIndexOf(" ", from + PIECE - 1);
    const cut = blank >= from + PIECE / 2 ? blank + 1 : snap(text, from + PIECE);
    bounds.push([from, cut]);
    from = cut;
  }
  bounds.push([from, end]);
  return bounds;
}
