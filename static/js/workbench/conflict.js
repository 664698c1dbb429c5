/** Two people corrected the same text: both versions side by side, and the reviewer decides. */

import { n, t } from "../i18n.js";
import { labelTag, make } from "./dom.js";
import { TextView } from "./render.js";
import { Review } from "./state.js";

const keyOf = (span) => `${span.start}:${span.end}:${span.label}`;
const overlap = (a, b) => a.start < b.end && a.end > b.start;

/** What is the same in both, and what only one of them has. */
export function compare(mine, theirs) {
  const inMine = new Set(mine.map(keyOf));
  const inTheirs = new Set(theirs.map(keyOf));
  return {
    common: mine.filter((span) => inTheirs.has(keyOf(span))),
    onlyMine: mine.filter((span) => !inTheirs.has(keyOf(span))),
    onlyTheirs: theirs.filter((span) => !inMine.has(keyOf(span))),
  };
}

export class Conflict {
  constructor(section, settings) {
    this.section = section;
    this.settings = settings;
  }

  /**
   * Show it; resolves with `{action: "save", spans}`, `{action: "theirs"}` or `{action: "later"}`.
   * Offsets are code points throughout: these are the server's forms.
   */
  ask({ task, mine, current }) {
    const { common, onlyMine, onlyTheirs } = compare(mine, current.spans);
    const names = new Map(task.labels.map((label) => [label.name, label]));
    const rows = [
      ...onlyMine.map((span) => ({ span, who: "you", checked: true })),
      ...onlyTheirs.map((span) => ({
        span,
        who: current.author,
        checked: this.settings.allowOverlap || !onlyMine.some((other) => overlap(other, span)),
      })),
    ].sort((a, b) => a.span.start - b.span.start || a.span.end - b.span.end);
    return new Promise((resolve) => {
      const finish = (answer) => {
        this.section.hidden = true;
        this.section.replaceChildren();
        resolve(answer);
      };
      const list = make("ul", { class: "choices" }, ...rows.map((row) => this.#row(row, rows, names)));
      const chosen = () => rows.filter((row) => row.box.checked).map((row) => row.span);
      this.section.replaceChildren(
        make("h2", { id: "conflict-title", tabindex: "-1" }, t("{author} saved this text while you worked on it", current)),
        make("p", {}, t("Nothing was overwritten. Tick the spans that are right; what you both marked alike is kept.")),
        make(
          "div",
          { class: "versions" },
          this.#version(t("Yours, not saved yet"), task, mine),
          this.#version(t("{author}'s, saved as number {number}", current), task, current.spans),
        ),
        make("h3", {}, rows.length ? t("Where you differ") : t("You marked the same spans.")),
        list,
        make("p", { class: "quiet" }, n("1 the same in both.", "{count} the same in both.", common.length)),
        make(
          "div",
          { class: "actions" },
          this.#button("primary", t("Save the ticked spans"), () => finish({ action: "save", spans: [...common, ...chosen()] })),
          this.#button("", t("Keep {author}'s and drop mine", current), () => finish({ action: "theirs" })),
          this.#button("plain", t("Decide later"), () => finish({ action: "later" })),
        ),
      );
      this.section.hidden = false;
      this.section.querySelector("h2").focus();
    });
  }

  #version(title, task, spans) {
    const text = make("div", { class: "wb-text" });
    new TextView(text).show(new Review({ ...task, current: { spans } }, this.settings));
    return make("section", { class: "version" }, make("h3", {}, title), text);
  }

  #row(row, rows, names) {
    row.box = make("input", { type: "checkbox" });
    row.box.checked = row.checked;
    row.box.addEventListener("change", () => {
      if (!row.box.checked || this.settings.allowOverlap) return;
      for (const other of rows) if (other !== row && overlap(other.span, row.span)) other.box.checked = false;
    });
    const label = names.get(row.span.label);
    return make(
      "li",
      {},
      make(
        "label",
        {},
        row.box,
        make("bdi", { class: "surface" }, row.span.text),
        label ? labelTag(label) : row.span.label,
        make("span", { class: "quiet" }, row.who === "you" ? t("yours") : row.who),
      ),
    );
  }

  #button(kind, text, act) {
    const button = make("button", { type: "button", class: `button ${kind}` }, text);
    button.addEventListener("click", act);
    return button;
  }
}
