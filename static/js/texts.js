// Ticking texts of the list, by mouse or by keyboard alone. What can be done with them appears with the first
// tick by itself (css/texts.css); without this module the ticks and the buttons work all the same. A tick is of
// this page: the count says so, and another page begins with none.

import { n } from "./i18n.js";

const form = document.getElementById("ticked-texts");
const boxes = form ? [...document.querySelectorAll(".text-tick input:not(:disabled)")] : [];
const all = document.getElementById("tick-all");
let last = null;

if (boxes.length) {
  all.closest("[hidden]").hidden = false;
  tell();
  // A page that comes back from the browser's memory comes with its ticks.
  addEventListener("pageshow", tell);
  all.addEventListener("change", () => tick(boxes, all.checked));
  form.addEventListener("reset", () => setTimeout(back));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") back();
  });
  for (const box of boxes) {
    box.addEventListener("click", (event) => clicked(box, event));
    box.addEventListener("keydown", (event) => pressed(box, event));
  }
}

function clicked(box, event) {
  if (event.shiftKey && last) tick(between(last, box), box.checked);
  last = box;
  tell();
}

function pressed(box, event) {
  const act = {
    ArrowDown: () => go(box, 1, event.shiftKey),
    ArrowUp: () => go(box, -1, event.shiftKey),
    // Not the form's first button, as Enter in a form has it: first it is seen what will be done.
    Enter: () => form.querySelector("select, button").focus(),
    Escape: () => tick(boxes, false),
  }[event.key];
  if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  act();
}

function go(box, step, isTicking) {
  const next = boxes[boxes.indexOf(box) + step];
  if (isTicking) tick(next ? [box, next] : [box], true);
  next?.focus();
  last = next ?? box;
}

function back() {
  (last ?? boxes[0]).focus();
  tell();
}

function between(one, other) {
  const [from, to] = [boxes.indexOf(one), boxes.indexOf(other)].sort((a, b) => a - b);
  return boxes.slice(from, to + 1);
}

function tick(some, isTicked) {
  for (const box of some) box.checked = isTicked;
  tell();
}

function tell() {
  const count = boxes.filter((box) => box.checked).length;
  all.checked = count === boxes.length;
  all.indeterminate = count > 0 && count < boxes.length;
  const words = count ? n("{count} text of this page ticked", "{count} texts of this page ticked", count) : "";
  for (const id of ["ticked", "ticked-count"]) document.getElementById(id).textContent = words;
}
