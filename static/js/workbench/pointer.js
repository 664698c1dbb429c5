/** The hand: drag over text to mark it, click a span to choose it, drag its edges. */

import { tidy } from "./offsets.js";

export class Pointer {
  #review = null;
  #inText = false;
  #drag = null;

  /** `onMark(start, end)` is called for a marked stretch of text. */
  constructor(view, onMark) {
    this.view = view;
    this.onMark = onMark;
    this.lastType = "mouse";
    view.root.addEventListener("pointerdown", (event) => this.#down(event));
    document.addEventListener("pointermove", (event) => this.#move(event));
    document.addEventListener("pointerup", (event) => this.#endDrag(event));
    document.addEventListener("pointercancel", (event) => this.#endDrag(event));
    document.addEventListener("mouseup", (event) => this.#up(event));
    view.root.addEventListener("click", (event) => this.#click(event));
  }

  use(review) {
    this.#review = review;
    this.#drag = null;
  }

  /** The selected stretch of text without blank edges; null when there is none. */
  get marked() {
    const selection = this.view.selection;
    return selection && tidy(this.#review.text, ...selection);
  }

  #down(event) {
    this.lastType = event.pointerType;
    this.#inText = event.button === 0;
    const handle = event.target.closest(".handle");
    if (!handle || event.button !== 0) return;
    event.preventDefault();
    this.#inText = false;
    this.#review.closeStep();
    this.#drag = { id: this.#review.active, edge: handle.classList.contains("start") ? "start" : "end" };
    this.view.root.classList.add("is-dragging");
  }

  #move(event) {
    if (!this.#drag) return;
    const place = this.view.offsetAt(event.clientX, event.clientY);
    const span = this.#review.spans.get(this.#drag.id);
    if (place === null || !span) return;
    const [start, end] = this.#drag.edge === "start" ? [place, span.end] : [span.start, place];
    if (start < end) this.#review.resize(span.id, start, end, { join: true });
  }

  #endDrag() {
    if (!this.#drag) return;
    const span = this.#review.spans.get(this.#drag.id);
    const neat = span && tidy(this.#review.text, span.start, span.end);
    if (neat) this.#review.resize(span.id, neat.start, neat.end, { join: true });
    this.#review.closeStep();
    this.#drag = null;
    this.view.root.classList.remove("is-dragging");
  }

  #up(event) {
    if (!this.#inText || event.button !== 0) return;
    this.#inText = false;
    // A finger selects by holding and then moves the ends: its bar marks (touch.js).
    if (this.lastType === "touch") return;
    const marked = this.marked;
    if (!marked) return;
    // A double click on a span chooses it; only on bare text it marks the word.
    const isWordClick = event.detail > 1;
    const covered = this.#review.ordered.some((span) => span.start <= marked.start && span.end >= marked.end);
    if (!(isWordClick && covered)) this.onMark(marked.start, marked.end);
    getSelection().removeAllRanges();
  }

  #click(event) {
    if (!getSelection().isCollapsed || event.detail > 1) return;
    const review = this.#review;
    // Innermost first; clicking again reaches the spans around it.
    const ids = [];
    for (let mark = event.target.closest(".mark"); mark; mark = mark.parentElement.closest(".mark")) {
      ids.push(mark.dataset.id);
    }
    if (ids.length) review.activate(ids[(ids.indexOf(review.active) + 1) % ids.length]);
    else if (performance.now() - this.#markedAt > 300) review.activate(null);
  }

  #markedAt = 0;

  /** The click that ends a drag must not take back the choice of what the drag made. */
  justMarked() {
    this.#markedAt = performance.now();
  }
}
