/** The edges of the page: they can be put away, and stay as they were left. */

import { readLook, writeLook } from "./preferences.js";

const element = (id) => document.getElementById(id);

/** The queue and the labels can be put away; where there is little room the queue lies over the text. */
export function wireEdges() {
  const toggles = [...document.querySelectorAll(".wb-toggle")];
  const edge = (toggle) => element(toggle.getAttribute("aria-controls"));
  const isOver = () => getComputedStyle(element("rail")).position === "fixed";
  const tell = () => {
    for (const toggle of toggles) {
      toggle.setAttribute("aria-expanded", String(getComputedStyle(edge(toggle)).display !== "none"));
    }
  };
  for (const toggle of toggles) {
    toggle.addEventListener("click", () => {
      const { id } = edge(toggle);
      const isShown = toggle.getAttribute("aria-expanded") === "true";
      document.body.classList.toggle(`no-${id}`, isShown);
      document.body.classList.toggle(`with-${id}`, !isShown);
      tell();
      if (!isOver()) remember(id, isShown);
    });
  }
  document.addEventListener("pointerdown", (event) => {
    if (!isOver() || event.target.closest("#rail, .wb-toggle")) return;
    document.body.classList.remove("with-rail");
    tell();
  });
  addEventListener("resize", tell);
  tell();
}

function remember(edge, isAway) {
  const look = readLook(document.cookie);
  const away = new Set(look.away);
  if (isAway) away.add(edge);
  else away.delete(edge);
  writeLook({ ...look, away: [...away] });
}

/** The queue by a word of its texts or reasons. */
export function wireQueueFilter() {
  const field = element("queue-words");
  const list = element("queue");
  const apply = () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of list.children) row.hidden = Boolean(wanted) && !row.textContent.toLowerCase().includes(wanted);
  };
  field.addEventListener("input", apply);
  new MutationObserver(apply).observe(list, { childList: true });
}
