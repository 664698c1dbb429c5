// The light/dark switch. The server writes the chosen theme into <html data-theme> from the cookie, so a
// page arrives in its colours; this module only changes the choice.

import { t } from "./i18n.js";

const ORDER = ["auto", "light", "dark"];
const YEAR = 365 * 24 * 3600;

function chosen() {
  return document.documentElement.dataset.theme ?? "auto";
}

function show(button) {
  const words = { auto: t("Theme: auto"), light: t("Theme: light"), dark: t("Theme: dark") };
  button.textContent = words[chosen()];
}

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  show(button);
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length];
    if (next === "auto") {
      delete document.documentElement.dataset.theme;
      document.cookie = "theme=; path=/; max-age=0; samesite=lax";
    } else {
      document.documentElement.dataset.theme = next;
      document.cookie = `theme=${next}; path=/; max-age=${YEAR}; samesite=lax`;
    }
    show(button);
  });
}
