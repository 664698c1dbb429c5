/** A label by its name: a small menu at the span, for hand and keyboard, and for more labels than there are keys. */

import { labelTag, make } from "./dom.js";

/** The labels that what was typed may mean, the likeliest first. */
export function matching(labels, typed) {
  const wanted = typed.trim().toLowerCase();
  if (!wanted) return labels;
  const rank = (label) => {
    const names = [label.name.toLowerCase(), label.title.toLowerCase()];
    if (names.includes(wanted)) return 0;
    if (names.some((name) => name.startsWith(wanted))) return 1;
    if (names.some((name) => name.split(/[\s_-]+/).some((word) => word.startsWith(wanted)))) return 2;
    return names.some((name) => name.includes(wanted)) ? 3 : 4;
  };
  return labels
    .map((label, place) => ({ label, place, rank: rank(label) }))
    .filter((row) => row.rank < 4)
    .sort((a, b) => a.rank - b.rank || a.place - b.place)
    .map(({ label }) => label);
}

export class LabelMenu {
  #labels = [];
  #shown = [];
  #at = 0;
  #onChoice = null;

  constructor(menu, goBack) {
    this.menu = menu;
    this.input = menu.querySelector("input");
    this.list = menu.querySelector("ul");
    this.input.addEventListener("input", () => this.#paint(0));
    this.input.addEventListener("keydown", (event) => this.#key(event));
    whenLeft(menu, goBack);
  }

  /** Open at a rectangle of the screen; `onChoice` is called with a label's name. */
  open({ labels, current, box, onChoice }) {
    this.#labels = labels;
    this.#onChoice = onChoice;
    this.input.value = "";
    this.menu.showPopover();
    this.#paint(Math.max(0, labels.findIndex(({ name }) => name === current)));
    place(this.menu, box);
    this.input.focus();
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.#shown.length) this.#mark((this.#at + step + this.#shown.length) % this.#shown.length);
    else if (event.key === "Enter") this.#choose(this.#shown[this.#at]);
    else return;
    event.preventDefault();
  }

  #paint(at) {
    this.#shown = matching(this.#labels, this.input.value);
    this.list.replaceChildren(
      ...this.#shown.map((label, index) => {
        const option = make(
          "li",
          { role: "option", id: `label-option-${index}`, "aria-selected": "false" },
          labelTag(label),
          make("span", { class: "label-title" }, label.title === label.name ? "" : label.title),
          label.hotkey ? make("kbd", {}, label.hotkey) : null,
        );
        option.addEventListener("click", () => this.#choose(label));
        return option;
      }),
    );
    this.menu.querySelector(".empty").hidden = this.#shown.length > 0;
    this.#mark(at);
  }

  #mark(at) {
    this.list.children[this.#at]?.setAttribute("aria-selected", "false");
    this.#at = at;
    const option = this.list.children[at];
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  #choose(label) {
    if (!label) return;
    const act = this.#onChoice;
    this.menu.hidePopover();
    act(label.name);
  }
}

/** After a sheet has closed the focus is where it was; `goBack` is called where there is no such place. */
export function whenLeft(sheet, goBack) {
  const isNowhere = () => !document.activeElement || document.activeElement === document.body;
  // The browser gives the focus back at once, so that the next key already works: it needs a place to give it to.
  sheet.addEventListener("beforetoggle", (event) => event.newState === "open" && isNowhere() && goBack());
  sheet.addEventListener("toggle", (event) => event.newState === "closed" && isNowhere() && goBack());
}

/** Put something below a rectangle of the screen, or above where there is no room. */
export function place(element, box) {
  const { width, height } = element.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.left, innerWidth - width - 8));
  const below = box.bottom + 6;
  const top = below + height < innerHeight - 8 ? below : Math.max(8, box.top - height - 6);
  element.style.left = `${left}px`;
  element.style.top = `${top}px`;
}
