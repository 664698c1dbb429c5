/** For fingers: a bar at the foot of the text with what can be done to the selected words or the chosen span. */

import { t } from "../i18n.js";
import { labelTag, make } from "./dom.js";
import { isOpen } from "./state.js";

const SOON_MS = 150;

export class TouchBar {
  #timer = null;

  constructor({ bar, pointer, actions, work }) {
    Object.assign(this, { bar, pointer, actions, work });
    document.addEventListener("selectionchange", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.paint(), SOON_MS);
    });
    // A press on the bar must not take the selection away.
    bar.addEventListener("pointerdown", (event) => event.preventDefault());
  }

  get #isTouch() {
    return this.pointer.lastType === "touch" || this.pointer.lastType === "pen" || matchMedia("(pointer: coarse)").matches;
  }

  paint() {
    const review = this.work.review;
    const marked = review && this.#isTouch ? this.pointer.marked : null;
    const span = review && this.#isTouch ? review.activeSpan : null;
    const buttons = marked ? this.#forText(review, marked) : span ? this.#forSpan(review, span) : [];
    this.bar.hidden = buttons.length === 0;
    this.bar.replaceChildren(...buttons);
  }

  #forText(review, marked) {
    const labels = [...review.task.labels].sort((a, b) => (b.name === this.work.armed) - (a.name === this.work.armed));
    return [
      ...labels.map((label) => this.#button(labelTag(label), () => this.actions.label(label.name, marked), t("Mark as {label}", { label: label.title }))),
      this.#button(t("Cancel"), () => getSelection().removeAllRanges()),
    ];
  }

  #forSpan(review, span) {
    return [
      ...(isOpen(span) || span.state === "rejected" ? [this.#button(t("Accept"), () => this.actions.accept())] : []),
      this.#button(span.state === "rejected" ? t("Take back") : span.machine ? t("Reject") : t("Remove"), () => this.actions.reject()),
      this.#button(t("Label…"), () => this.actions.menu()),
      this.#button(t("All equal…"), () => this.actions.equal()),
      this.#button(t("Done"), () => review.activate(null)),
    ];
  }

  #button(content, act, name = null) {
    const button = make("button", { type: "button", class: "button", "aria-label": name }, content);
    button.addEventListener("click", () => {
      act();
      this.paint();
    });
    return button;
  }
}
