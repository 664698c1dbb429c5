/** After a decision: in how many waiting texts the same words stand. A quiet line; the page behind it shows each place. */

import { n, t } from "../i18n.js";
import { make } from "./dom.js";
import { keyText } from "./keymap.js";
import { isOpen } from "./state.js";

const RESTS_MS = 900;
/** Longer surfaces are no names that come again, and the server does not look for them. */
const LONGEST = 100;
const WORD = /[\p{L}\p{N}_]/u;

export class Offer {
  #timer = null;
  #asked = "";

  constructor(api, line, keyboard) {
    this.api = api;
    this.line = line;
    this.keyboard = keyboard;
  }

  /** The span that the hand is at now, or null. */
  use(review, span) {
    const isDecided = span && !isOpen(span);
    const label = span?.state === "rejected" ? "" : (span?.label ?? "");
    const surface = isDecided ? review.surface(span) : "";
    const asked = isDecided && surface.length <= LONGEST && WORD.test(surface) ? JSON.stringify([surface, label, review.task.id]) : "";
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.line.replaceChildren();
    clearTimeout(this.#timer);
    if (asked) this.#timer = setTimeout(() => this.#ask(asked, surface, label, review.task.id), RESTS_MS);
  }

  async #ask(asked, surface, label, task) {
    try {
      const { count, page } = await this.api.occurrences(surface, label, task);
      if (asked !== this.#asked || !count) return;
      const words = n("1 other place waits", "{count} other places wait", count);
      this.line.replaceChildren(words, " ", make("a", { href: page }, t("Decide alike…")), " ", make("kbd", {}, keyText(this.keyboard.keyOf("elsewhere"))));
    } catch {
      // An offer that cannot be made is none.
    }
  }
}
