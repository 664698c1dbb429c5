/* Keeps a page current whose `data-live` says what it shows: asks for the page again, and loads it where that
   has changed. Not under the hands of somebody who writes a reason. */

const SECONDS = 5;
const part = document.querySelector("[data-live]");

async function look() {
  if (document.hidden || document.querySelector("form.act input.reason:not(:placeholder-shown)")) return;
  const answer = await fetch(window.location.href, { credentials: "same-origin" });
  if (answer.ok && !(await answer.text()).includes(`data-live="${part.dataset.live}"`)) {
    window.location.reload();
  }
}

if (part) setInterval(() => look().catch(() => {}), SECONDS * 1000);
