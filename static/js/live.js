/* Keeps `data-live` parts of a page current: asks for the page again and puts the new part in the old one's
   place. Where the part is no longer live, or the page changed its buttons, the whole page is loaded. */

const SECONDS = 5;

async function look(part) {
  if (document.hidden) return;
  const answer = await fetch(window.location.href, { credentials: "same-origin" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
  const acts = (from) => [...from.querySelectorAll("form.act")].map((form) => form.action).join();
  const isTyping = document.querySelector("form.act input.reason:not(:placeholder-shown)");
  if (!fresh || acts(page) !== acts(document)) {
    if (!isTyping) window.location.reload();
    return;
  }
  if (fresh.innerHTML === part.innerHTML) return;
  part.replaceChildren(...fresh.childNodes);
  for (const name of document.querySelectorAll("form.act input[name=generation]")) {
    name.value = page.querySelector("form.act input[name=generation]").value;
  }
}

for (const part of document.querySelectorAll("[data-live]")) {
  setInterval(() => look(part).catch(() => {}), SECONDS * 1000);
}
