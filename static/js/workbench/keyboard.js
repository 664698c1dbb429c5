/** Keys to actions. The sheet on the page is made from the same table, so it cannot lie. */

/** [keys, action, words]. Letters of labels are added by the project and may not be any of these. */
export const KEYS = [
  [["j"], "next", "next span"],
  [["k"], "previous", "previous span"],
  [["u"], "unsure", "the span the model is least sure of"],
  [["a"], "accept", "accept the span"],
  [["x"], "reject", "reject the span, or take that back"],
  [["Delete", "Backspace"], "remove", "remove the span"],
  [["Alt+ArrowRight"], "endRight", "move the end forward by a character; with Ctrl by a word"],
  [["Alt+ArrowLeft"], "endLeft", "move the end back"],
  [["Alt+Shift+ArrowRight"], "startRight", "move the start forward; with Ctrl by a word"],
  [["Alt+Shift+ArrowLeft"], "startLeft", "move the start back"],
  [["v"], "toggleCaret", "mark text by keyboard: arrows move, Shift extends, a label's key marks"],
  [["z", "Ctrl+z"], "undo", "undo"],
  [["Shift+z", "Ctrl+y", "Ctrl+Shift+z"], "redo", "redo"],
  [["Enter"], "submit", "submit and go to the next text"],
  [["s"], "skip", "skip this text, with a reason"],
  [["Escape"], "leave", "leave what is open or chosen"],
  [["?"], "help", "this sheet"],
];

const TABLE = new Map(KEYS.flatMap(([keys, action]) => keys.map((key) => [key, action])));
const BY_WORD = new Map(
  ["endRight", "endLeft", "startRight", "startLeft"].map((action) => {
    const [[key]] = KEYS.find((row) => row[1] === action);
    return [`Ctrl+${key}`, action];
  }),
);

export class Keyboard {
  /** `actions` has a function for each action of KEYS, `label(name)`, and `isComparing`. */
  constructor(actions, caret) {
    this.actions = actions;
    this.caret = caret;
    this.labels = new Map();
    // On the document: painting replaces the focused span, and its keys must still work.
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  use(labels) {
    this.labels = new Map(labels.filter((label) => label.hotkey).map((label) => [label.hotkey, label.name]));
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
    const label = this.labels.get(name);
    const action = TABLE.get(name) ?? BY_WORD.get(name);
    if (label) this.actions.label(label);
    else if (action) this.actions[action](BY_WORD.has(name));
    else return;
    event.preventDefault();
  }
}

function keyName(event) {
  if (event.key === "?") return "?";
  const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const parts = [(event.ctrlKey || event.metaKey) && "Ctrl", event.altKey && "Alt", event.shiftKey && "Shift", letter];
  return parts.filter(Boolean).join("+");
}

/** A key as it is printed on the page. */
export function keyText(key) {
  const signs = { ArrowRight: "→", ArrowLeft: "←", Delete: "Del", Escape: "Esc" };
  return key
    .split("+")
    .map((part) => signs[part] ?? part)
    .join(" ");
}
