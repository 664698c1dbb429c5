/** Which key does what: the table of keyboard.js with a person's own changes, which must not clash. */

import { t } from "../i18n.js";

/** Keys that the page, the caret or the browser needs as they are. */
const TAKEN = {
  Tab: t("Tab moves between the controls."),
  ArrowLeft: t("The arrows move the caret."),
  ArrowRight: t("The arrows move the caret."),
  ArrowUp: t("The arrows move the caret."),
  ArrowDown: t("The arrows move the caret."),
  Home: t("Home and End move the caret."),
  End: t("Home and End move the caret."),
  Escape: t("Escape always leaves what is open."),
};
const MODIFIERS = new Set(["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Dead", "Process"]);
const BROWSER = new Set(["c", "f", "l", "n", "p", "r", "s", "t", "v", "w", "x"].map((letter) => `Ctrl+${letter}`));

/** The key of an event as the table writes it; empty for a modifier alone. */
export function keyName(event) {
  if (MODIFIERS.has(event.key)) return "";
  const isSign = event.key.length === 1 && event.key !== " " && event.key.toLowerCase() === event.key.toUpperCase();
  const letter = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // A sign already says that Shift was held, differently on each keyboard.
  const isShifted = event.shiftKey && !isSign;
  const parts = [(event.ctrlKey || event.metaKey) && "Ctrl", event.altKey && "Alt", isShifted && "Shift", letter];
  return parts.filter(Boolean).join("+");
}

/** The table with a person's own keys: `own` maps actions to keys. */
export function withOwn(rows, own) {
  return rows.map(([keys, action, words]) => [own[action] ?? keys, action, words]);
}

/** Why an action may not have a key, in words; null when it may. */
export function refusal(rows, labels, action, key) {
  const [main] = key.split("+").slice(-1);
  if (TAKEN[key]) return TAKEN[key];
  if (BROWSER.has(key)) return t("{key} belongs to the browser.", { key: keyText(key) });
  const other = rows.find(([keys, name]) => name !== action && keys.some((used) => clash(used, key)));
  if (other) return t("{key} is taken: {words}.", { key: keyText(key), words: other[2] });
  const label = labels.find(({ hotkey }) => hotkey && hotkey === key);
  if (label) return t("{key} marks {label}.", { key: keyText(key), label: label.name });
  return main === "" ? t("Press a key.") : null;
}

/** With Ctrl an edge moves by words, so such a key stands for two. */
function clash(used, key) {
  const isEdge = used.startsWith("Alt+") && used.includes("Arrow");
  return used === key || (isEdge && `Ctrl+${used}` === key);
}

const SIGNS = {
  ArrowRight: "→",
  ArrowLeft: "←",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Delete: "Del",
  Escape: "Esc",
  Enter: "↵",
};

/** A key as it is printed on the page. */
export function keyText(key) {
  return key
    .split("+")
    .map((part) => SIGNS[part] ?? part)
    .join(" ");
}
