/** The frame of the page: edges that can be put away, and the sheet of keys. */

import { make } from "./dom.js";
import { KEYS, keyText } from "./keyboard.js";

const element = (id) => document.getElementById(id);

/** The queue and the labels can be put away; where there is little room the queue lies over the text. */
export function wireEdges() {
  const toggles = [...document.querySelectorAll(".wb-toggle")];
  const edge = (toggle) => element(toggle.getAttribute("aria-controls"));
  const tell = () => {
    for (const toggle of toggles) {
      toggle.setAttribute("aria-expanded", String(getComputedStyle(edge(toggle)).display !== "none"));
    }
  };
  for (const toggle of toggles) {
    toggle.addEventListener("click", () => {
      const name = edge(toggle).id;
      const isShown = toggle.getAttribute("aria-expanded") === "true";
      document.body.classList.toggle(`no-${name}`, isShown);
      document.body.classList.toggle(`with-${name}`, !isShown);
      tell();
    });
  }
  document.addEventListener("pointerdown", (event) => {
    const isOver = getComputedStyle(element("rail")).position === "fixed";
    if (!isOver || event.target.closest("#rail, .wb-toggle")) return;
    document.body.classList.remove("with-rail");
    tell();
  });
  addEventListener("resize", tell);
  tell();
}

/** The sheet of keys, from the table that the keyboard uses. */
export function writeHelp() {
  element("help-keys").replaceChildren(
    ...KEYS.map(([keys, , words]) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, ...keys.flatMap(printed)),
        make("td", {}, words),
      ),
    ),
  );
}

function printed(key, index) {
  return [index ? " or " : "", make("kbd", {}, keyText(key))];
}
