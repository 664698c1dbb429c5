/** The caret mode: marking a span by keyboard alone. */

import { snap, stepCharacter, stepWord, tidy, wordAt } from "./offsets.js";

export class Caret {
  #review = null;
  #anchor = null;
  #place = null;

  constructor(view) {
    this.view = view;
  }

  use(review) {
    this.#review = review;
    this.#place = this.#anchor = null;
  }

  get isOn() {
    return this.#place !== null;
  }

  /** Start at the active span, or at the first text on the screen. */
  start() {
    const active = this.#review.activeSpan;
    const frame = this.view.root.closest(".wb-page").getBoundingClientRect();
    const box = this.view.root.getBoundingClientRect();
    const seen = this.view.offsetAt(box.left + 4, Math.max(frame.top, box.top) + 12);
    this.#review.activate(null);
    this.#go(active ? active.end : (seen ?? 0), false);
  }

  stop() {
    if (!this.isOn) return;
    this.#place = this.#anchor = null;
    this.view.setCaret(null);
    getSelection().removeAllRanges();
  }

  /** The chosen stretch, or the word at the caret; null where there is neither. */
  get marked() {
    if (!this.isOn) return null;
    const { text } = this.#review;
    if (this.#anchor !== this.#place) return tidy(text, this.#anchor, this.#place);
    return wordAt(text, this.#place);
  }

  /** Handle a movement key. True when it was one. */
  key(event) {
    const { text } = this.#review;
    const wide = event.ctrlKey || event.altKey || event.metaKey;
    const step = wide ? stepWord : stepCharacter;
    const moves = {
      ArrowRight: () => step(text, this.#place, 1),
      ArrowLeft: () => step(text, this.#place, -1),
      ArrowDown: () => (wide ? this.#paragraph(1) : this.#line(1)),
      ArrowUp: () => (wide ? this.#paragraph(-1) : this.#line(-1)),
      Home: () => (wide ? 0 : this.#lineEdge(-1)),
      End: () => (wide ? text.length : this.#lineEdge(1)),
    };
    if (!Object.hasOwn(moves, event.key)) return false;
    // Lines of a right-to-left text run the other way; the caret goes where the key points.
    this.#go(moves[this.#towards(event.key)](), event.shiftKey);
    return true;
  }

  #towards(key) {
    const line = this.view.root.querySelector(".caret")?.closest(".line");
    if (!line || getComputedStyle(line).direction === "ltr") return key;
    return { ArrowLeft: "ArrowRight", ArrowRight: "ArrowLeft" }[key] ?? key;
  }

  /** The place one line up or down as the lines are seen on the screen. */
  #line(direction) {
    const box = this.view.caretBox();
    if (!box) return this.#place;
    for (const lines of [1, 2, 3]) {
      const y = direction > 0 ? box.bottom + box.height * (lines - 0.4) : box.top - box.height * (lines - 0.4);
      const place = this.view.offsetAt(box.left, y);
      if (place !== null && (place - this.#place) * direction > 0) return place;
    }
    return direction > 0 ? this.#edge(1) : this.#edge(-1);
  }

  /** The end of the line as it is seen, in a direction of reading. */
  #lineEdge(direction) {
    const box = this.view.caretBox();
    const line = this.view.root.querySelector(".caret")?.closest(".line");
    if (!box || !line) return this.#edge(direction);
    const sides = line.getBoundingClientRect();
    const isRight = (direction > 0) === (getComputedStyle(line).direction === "ltr");
    const place = this.view.offsetAt(isRight ? sides.right - 1 : sides.left + 1, box.top + box.height / 2);
    return place !== null && (place - this.#place) * direction >= 0 ? place : this.#place;
  }

  /** The end of the paragraph in a direction; from there, that of the next one. */
  #paragraph(direction) {
    const edge = this.#edge(direction);
    if (edge !== this.#place) return edge;
    const { text } = this.#review;
    return this.#edge(direction, stepCharacter(text, edge, direction));
  }

  #edge(direction, from = this.#place) {
    const { text } = this.#review;
    let place = from;
    if (direction > 0) while (place < text.length && !/[\r\n]/.test(text[place])) place += 1;
    else while (place > 0 && !/[\r\n]/.test(text[place - 1])) place -= 1;
    return place;
  }

  #go(place, extend) {
    this.#place = snap(this.#review.text, place);
    if (!extend) this.#anchor = this.#place;
    this.view.setCaret(this.#place);
    if (this.#anchor === this.#place) getSelection().removeAllRanges();
    else this.view.select(this.#anchor, this.#place);
  }
}
