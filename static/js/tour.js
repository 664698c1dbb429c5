// The first steps: shown by the server until the cookie `tour` says they are done (labeling/templatetags/tour.py).
// They stand above the text and never over it, take no key that is not pressed inside them, and hold no focus.

const YEAR = 365 * 24 * 3600;

function close(tour) {
  document.cookie = `tour=done; path=/; max-age=${YEAR}; samesite=lax`;
  point(null);
  const hadFocus = tour.contains(document.activeElement);
  tour.remove();
  // Whoever closed it by keyboard goes on where the work is.
  if (hadFocus) (document.getElementById("page") ?? document.getElementById("main"))?.focus();
}

/** Frame what a step is about. An attribute, not a class: the workbench paints its own classes. */
function point(selector) {
  for (const framed of document.querySelectorAll("[data-toured]")) delete framed.dataset.toured;
  const target = selector && document.querySelector(selector);
  if (target) target.dataset.toured = "";
}

function walk(tour) {
  const steps = [...tour.querySelectorAll("li")];
  const back = tour.querySelector("[data-tour-back]");
  const on = tour.querySelector("[data-tour-on]");
  let at = 0;

  function show(place) {
    at = place;
    steps.forEach((step, index) => step.toggleAttribute("data-current", index === at));
    point(steps[at].dataset.target);
    back.disabled = at === 0;
    on.disabled = at === steps.length - 1;
    // A disabled button loses the focus: it goes to the one that is left.
    if (on.disabled && document.activeElement !== back) tour.querySelector("[data-tour-close]").focus();
    else if (back.disabled && tour.contains(document.activeElement)) on.focus();
  }

  back.addEventListener("click", () => show(at - 1));
  on.addEventListener("click", () => show(at + 1));
  back.hidden = on.hidden = false;
  show(0);
}

for (const tour of document.querySelectorAll(".tour")) {
  const button = tour.querySelector("[data-tour-close]");
  button.hidden = false;
  button.addEventListener("click", () => close(tour));
  tour.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    close(tour);
  });
  if ("tourSteps" in tour.dataset) walk(tour);
}
