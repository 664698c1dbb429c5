/** What is known of a span under the mouse, beside it: nothing that the inspector would not say. */

import { t } from "../i18n.js";
import { labelTag, make, percent } from "./dom.js";
import { place } from "./relabel.js";
import { stateWords } from "./render.js";

const PATIENCE_MS = 350;
const LEAST_LIKELY = 0.01;

export class Card {
  #timer = null;
  #id = null;

  constructor(view, card) {
    this.view = view;
    this.card = card;
    view.root.addEventListener("pointerover", (event) => this.#over(event));
    view.root.addEventListener("pointerleave", (event) => {
      if (!card.contains(event.relatedTarget)) this.hide();
    });
    card.addEventListener("pointerleave", () => this.hide());
    view.root.addEventListener("pointerdown", () => this.hide());
    view.root.closest(".wb-page").addEventListener("scroll", () => this.hide(), { passive: true });
    document.addEventListener("keydown", () => this.hide());
  }

  hide() {
    clearTimeout(this.#timer);
    this.#id = null;
    this.card.hidden = true;
  }

  #over(event) {
    if (event.pointerType === "touch" || event.buttons) return;
    const id = event.target.closest(".mark")?.dataset.id ?? null;
    if (id === this.#id) return;
    this.hide();
    this.#id = id;
    if (id) this.#timer = setTimeout(() => this.#show(id), PATIENCE_MS);
  }

  #show(id) {
    const { review } = this.view;
    const span = review.spans.get(id);
    if (!span) return;
    const tag = (name) => labelTag(review.labels.get(name) ?? { name, hue: 0, pattern: 0 });
    const sure = span.machine?.confidence;
    const others = span.alternatives.filter(({ label, probability }) => review.labels.has(label) && probability >= LEAST_LIKELY);
    this.card.replaceChildren(
      make("p", {}, tag(span.label), " ", stateWords(span), sure === null || sure === undefined ? "" : `, ${t("{percent} sure", { percent: percent(sure) })}`),
      ...(others.length
        ? [make("p", { class: "quiet" }, t("or"), " ", ...others.flatMap(({ label, probability }) => [tag(label), ` ${percent(probability)} `]))]
        : []),
    );
    this.card.hidden = false;
    place(this.card, this.view.elementOf(id).getBoundingClientRect());
  }
}
