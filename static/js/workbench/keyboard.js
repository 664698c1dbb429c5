/** Keys to actions. The sheet on the page is made from the same table, so it cannot lie. */

import { t } from "../i18n.js";
import { keyName, withOwn } from "./keymap.js";

/** [keys, action, words]. Letters of labels are added by the project and may not be any of these. */
export const KEYS = [
  [["j"], "next", t("next span")],
  [["k"], "previous", t("previous span")],
  [["u"], "unsure", t("the span the model is least sure of")],
  [["a"], "accept", t("accept the span")],
  [["x"], "reject", t("reject the span, or take that back")],
  [["Delete", "Backspace"], "remove", t("remove the span")],
  [["Space"], "menu", t("another label for the span or the marked text: type its name")],
  [["="], "equal", t("the same decision for all equal words in this text")],
  [["Shift+e"], "elsewhere", t("the same decision in the other texts that hold the words")],
  [["Shift+a"], "above", t("accept all that the model is sure enough of")],
  [["Alt+ArrowRight"], "endRight", t("move the end forward by a character; with Ctrl by a word")],
  [["Alt+ArrowLeft"], "endLeft", t("move the end back")],
  [["Alt+Shift+ArrowRight"], "startRight", t("move the start forward; with Ctrl by a word")],
  [["Alt+Shift+ArrowLeft"], "startLeft", t("move the start back")],
  [["Alt+ArrowDown"], "endToken", t("move the end forward by a token")],
  [["Alt+ArrowUp"], "endTokenBack", t("move the end back by a token")],
  [["Alt+Shift+ArrowDown"], "startToken", t("move the start forward by a token")],
  [["Alt+Shift+ArrowUp"], "startTokenBack", t("move the start back by a token")],
  [["v"], "toggleCaret", t("mark text by keyboard: arrows move, Shift extends, a label's key marks")],
  [["z", "Ctrl+z"], "undo", t("undo")],
  [["Shift+z", "Ctrl+y", "Ctrl+Shift+z"], "redo", t("redo")],
  [["/"], "filter", t("show only some spans, by label, sureness or words")],
  [["Shift+c"], "comment", t("comment on the span, or on the text")],
  [["Enter"], "submit", t("submit and go to the next text")],
  [["Shift+Enter"], "later", t("go to the next text and leave this one for later")],
  [["s"], "skip", t("skip this text, with a reason")],
  [["Escape"], "leave", t("leave what is open or chosen")],
  [["?"], "help", t("this sheet: keys and reading size")],
];

const EDGES = ["endRight", "endLeft", "startRight", "startLeft"];

export class Keyboard {
  #table = new Map();
  #byWord = new Map();
  #labels = [];
  #own = {};

  /** `actions` has a function for each action of KEYS, `label(name)`, and `isComparing`. */
  constructor(actions, caret) {
    this.actions = actions;
    this.caret = caret;
    this.setOwn({});
    // On the document: painting replaces the focused span, and its keys must still work.
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  use(labels) {
    this.#labels = labels;
    this.setOwn(this.#own);
  }

  /** A person's own keys, by action. */
  setOwn(own) {
    this.#own = own;
    this.rows = withOwn(KEYS, own);
    this.#table = new Map(this.rows.flatMap(([keys, action]) => keys.map((key) => [key, action])));
    this.#byWord = new Map(
      this.rows
        .filter(([, action]) => EDGES.includes(action))
        .flatMap(([keys, action]) => keys.map((key) => [`Ctrl+${key}`, action])),
    );
    // A person's own key came first: the label keeps its chip.
    this.hotkeys = new Map(
      this.#labels.filter(({ hotkey }) => hotkey && !this.#table.has(hotkey)).map(({ hotkey, name }) => [hotkey, name]),
    );
  }

  get labels() {
    return this.#labels;
  }

  /** The first key of an action, to be printed on its control. */
  keyOf(action) {
    return this.rows.find((row) => row[1] === action)?.[0][0] ?? "";
  }

  #key(event) {
    if (event.defaultPrevented || event.isComposing || this.actions.isComparing) return;
    const { target } = event;
    if (target.closest("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]")) return;
    const isControl = target.closest("a, button, summary, input");
    if (isControl && (event.key === "Enter" || event.key === " ")) return;
    if (this.caret.isOn && this.caret.key(event)) {
      event.preventDefault();
      return;
    }
    const name = keyName(event);
    const label = this.hotkeys.get(name);
    const action = this.#table.get(name) ?? this.#byWord.get(name);
    if (label) this.actions.label(label);
    else if (!action || this.actions[action](this.#byWord.has(name)) === false) return;
    event.preventDefault();
  }
}
