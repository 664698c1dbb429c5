/** Which spans are shown: by label, by how sure the model is, by words, or only what waits for a decision. */

import { t } from "../i18n.js";
import { make } from "./dom.js";
import { isOpen } from "./state.js";

export const EVERYTHING = Object.freeze({ label: "", atMost: 1, words: "", onlyOpen: false });

/** Does the filter let anything be hidden? */
export function isActive({ label, atMost, words, onlyOpen }) {
  return Boolean(label || atMost < 1 || words.trim() || onlyOpen);
}

/** A function that says of a span whether the filter lets it through. */
export function passing(review, { label, atMost, words, onlyOpen }) {
  const wanted = words.trim().toLowerCase();
  return (span) =>
    (!label || span.label === label) &&
    (atMost >= 1 || (span.machine?.confidence ?? 1) <= atMost) &&
    (!onlyOpen || isOpen(span)) &&
    (!wanted || review.surface(span).toLowerCase().includes(wanted));
}

/** The form of the filter; it stays as it is from text to text, and says so. */
export class Filter {
  #review = null;
  #set = EVERYTHING;

  /** `onChange` is called when what is shown has changed. */
  constructor(form, onChange) {
    this.form = form;
    this.onChange = onChange;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => this.#read());
    form.addEventListener("reset", () => setTimeout(() => this.#read()));
  }

  use(review) {
    const { label } = this.form.elements;
    label.replaceChildren(
      make("option", { value: "" }, t("every label")),
      ...review.task.labels.map(({ name, title }) => make("option", { value: name }, title === name ? name : `${name}: ${title}`)),
    );
    label.value = review.labels.has(this.#set.label) ? this.#set.label : "";
    this.#set = { ...this.#set, label: label.value };
    this.#review = review;
    this.#apply();
  }

  get isActive() {
    return isActive(this.#set);
  }

  #read() {
    const { label, sure, words, open } = this.form.elements;
    this.#set = { label: label.value, atMost: Number(sure.value) / 100, words: words.value, onlyOpen: open.checked };
    if (!this.#review) return;
    this.#apply();
    this.onChange();
  }

  #apply() {
    this.#review.isShown = this.isActive ? passing(this.#review, this.#set) : () => true;
    this.form.elements.at.value = `${Math.round(this.#set.atMost * 100)} %`;
    this.form.querySelector("[type=reset]").hidden = !this.isActive;
  }
}
