/** Many decisions at once: how many is said before, and it is one step to undo. */

import { n, t } from "../i18n.js";
import { labelTag, make, phrase } from "./dom.js";
import { above, acceptAll } from "./equal.js";
import { place, whenLeft } from "./relabel.js";

const element = (id) => document.getElementById(id);

export class Bulk {
  #review = null;
  #chosen = [];
  #onDone = () => {};

  /** `goBack` puts the focus into the text again. */
  constructor(view, sure, goBack) {
    this.view = view;
    this.sheet = element("above");
    this.form = element("above-form");
    this.equalSheet = element("equal");
    this.form.elements.threshold.value = Math.round(sure * 100);
    this.form.addEventListener("input", () => this.#count());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#accept();
    });
    for (const sheet of [this.sheet, this.equalSheet]) whenLeft(sheet, goBack);
  }

  /** Ask from which confidence on suggestions are accepted. */
  askAbove(review, onDone) {
    this.#review = review;
    this.#onDone = onDone;
    this.sheet.showPopover();
    this.#count();
    place(this.sheet, element("above-open").getBoundingClientRect());
    this.form.elements.threshold.focus();
  }

  #count() {
    const threshold = Number(this.form.elements.threshold.value);
    this.#chosen = above(this.#review, threshold / 100);
    const all = this.#review.undecided.length;
    this.form.elements.at.value = `${threshold} %`;
    element("above-count").textContent = n(
      "{chosen} of 1 undecided suggestion is that sure.",
      "{chosen} of {count} undecided suggestions are that sure.",
      all,
      { chosen: this.#chosen.length },
    );
    const button = this.form.querySelector("[type=submit]");
    button.textContent = t("Accept {count}", { count: this.#chosen.length });
    button.disabled = this.#chosen.length === 0;
  }

  #accept() {
    const number = this.#chosen.length;
    if (!number) return;
    acceptAll(this.#review, this.#chosen);
    this.sheet.hidePopover();
    this.#onDone(t("Accepted {count}. Undo takes all of them back.", { count: number }));
  }

  /** Ask what is to happen to the same words elsewhere. */
  askEqual(span, marks, rejects, { mark, reject }) {
    const review = this.view.review;
    const label = review.labels.get(span.label);
    const isRejected = span.state === "rejected";
    const choices = [
      marks.length && [mark, ...phrase(t("Mark {count} as {label}"), { count: marks.length, label: label ? labelTag(label) : span.label })],
      rejects.length && [reject, t("Reject {count}", { count: rejects.length })],
    ].filter(Boolean);
    if (isRejected) choices.reverse();
    const buttons = choices.map(([act, ...words], index) => {
      const button = make("button", { type: "button", class: index ? "button" : "button primary" }, ...words);
      button.addEventListener("click", () => {
        this.equalSheet.hidePopover();
        act();
      });
      return button;
    });
    element("equal-words").replaceChildren(...phrase(t("The other places of {words}"), { words: make("bdi", {}, `“${review.surface(span)}”`) }));
    this.equalSheet.querySelector(".actions").replaceChildren(...buttons);
    this.equalSheet.showPopover();
    place(this.equalSheet, this.view.boxOf(span));
    buttons[0].focus();
  }
}
