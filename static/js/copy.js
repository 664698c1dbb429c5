// Buttons that copy the text of the element named by data-copy. They stay hidden where copying is impossible.

import { t } from "./i18n.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = t("Copied");
  });
}
