// A choice of how a file is read shows its first records anew at once, as the button "Look again" does for who
// has no scripts; the hand stays where it is.

const HAND = "look";

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-look]")) return;
  sessionStorage.setItem(HAND, target.id);
  target.form.querySelector("[data-look-again]").click();
});

const hand = sessionStorage.getItem(HAND);
if (hand !== null) {
  sessionStorage.removeItem(HAND);
  document.getElementById(hand)?.focus();
  const look = document.getElementById("look");
  // Said a moment after the page is there: what stands in a status from the start is not read out.
  if (look) setTimeout(() => (document.querySelector("[data-look-said]").textContent = look.dataset.said), 300);
}
