/** The list of spans that the filter shows. Rows of spans that did not change stay as they are. */

import { n, t } from "../i18n.js";
import { labelTag, make, percent } from "./dom.js";

const AT_ONCE = 150;

export class SpanList {
  #review = null;
  #rows = new Map();

  constructor(details, choose) {
    this.details = details;
    this.list = details.querySelector("ol");
    this.choose = choose;
    details.addEventListener("toggle", () => this.paint());
  }

  use(review) {
    this.#review = review;
    this.#rows.clear();
    this.list.replaceChildren();
  }

  paint() {
    const review = this.#review;
    if (!review) return;
    const shown = review.ordered.filter((span) => review.isShown(span));
    const unsure = shown.filter((span) => review.isUnsure(span)).length;
    const all = review.spans.size;
    const words = [shown.length === all ? String(all) : t("{shown} of {all}", { shown: shown.length, all })];
    if (unsure) words.push(n("1 unsure", "{count} unsure", unsure));
    document.getElementById("span-count").textContent = words.join(", ");
    if (this.details.open) this.#fill(shown, 0);
  }

  /** Thousands of rows come a part at a time, between frames. */
  #fill(shown, from) {
    const to = Math.min(from + AT_ONCE, shown.length);
    for (let at = from; at < to; at += 1) {
      const row = this.#row(shown[at]);
      if (this.list.children[at] !== row) this.list.insertBefore(row, this.list.children[at] ?? null);
    }
    if (to < shown.length) {
      this.#shown = shown;
      this.#later(to);
      return;
    }
    this.#shown = null;
    while (this.list.children.length > shown.length) this.list.lastChild.remove();
    const kept = new Set(shown.map(({ id }) => id));
    for (const id of this.#rows.keys()) if (!kept.has(id)) this.#rows.delete(id);
  }

  #shown = null;

  #later(from) {
    const shown = this.#shown;
    setTimeout(() => {
      if (this.#shown === shown) this.#fill(shown, from);
    });
  }

  #row(span) {
    const review = this.#review;
    const isActive = span.id === review.active;
    const known = this.#rows.get(span.id);
    if (known?.span === span && known.isActive === isActive) return known.row;
    const label = review.labels.get(span.label);
    const button = make(
      "button",
      { type: "button", class: `span-row ${span.state}`, "aria-current": isActive ? "true" : null },
      make("bdi", {}, review.surface(span)),
      label ? labelTag(label) : span.label,
      make("span", { class: "quiet number" }, span.machine?.confidence != null ? percent(span.machine.confidence) : ""),
    );
    button.addEventListener("click", () => this.choose(span.id));
    const row = make("li", {}, button);
    known?.row.remove();
    this.#rows.set(span.id, { span, isActive, row });
    return row;
  }
}
