// A choice of how a file is read shows its first records anew at once, as the button "Look again" does for who
// has no scripts; the hand stays where it is.

let asked = new AbortController();

async function look(form) {
  asked.abort();
  asked = new AbortController();
  const again = form.querySelector("[data-look-again]");
  const choices = new FormData(form, again);
  form.parentElement.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(location.href, { method: "POST", body: choices, signal: asked.signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("look");
    if (!answer.ok || fresh === null) throw new Error(String(answer.status));
    show(fresh);
  } catch (problem) {
    // Whatever it is, the page itself says it.
    if (problem.name !== "AbortError") again.click();
  }
}

function show(fresh) {
  const focused = document.activeElement?.id;
  document.getElementById("look").replaceWith(document.adoptNode(fresh));
  if (focused) document.getElementById(focused)?.focus();
  document.querySelector("[data-look-said]").textContent = fresh.dataset.said;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-look]")) look(event.target.form);
});
