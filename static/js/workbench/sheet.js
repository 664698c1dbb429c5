/** The sheet of keys, where a key can be changed and the reading size set. */

import { t } from "../i18n.js";
import { make } from "./dom.js";
import { KEYS } from "./keyboard.js";
import { keyName, keyText, refusal } from "./keymap.js";
import { readKeys, readLook, writeKeys, writeLook } from "./preferences.js";
import { whenLeft } from "./relabel.js";

const element = (id) => document.getElementById(id);

export class Sheet {
  #own;
  #waiting = null;

  /** `onKeys` is called when keys were changed. */
  constructor(keyboard, user, onKeys) {
    this.keyboard = keyboard;
    this.user = user;
    this.onKeys = onKeys;
    this.#own = readKeys(user);
    keyboard.setOwn(this.#own);
    this.#paint();
    this.#say(t("“Change”, then the new key."));
    element("keys-reset").addEventListener("click", () => this.#keep({}, t("The keys are as they came.")));
    element("help").addEventListener("keydown", (event) => this.#key(event), { capture: true });
    element("help").addEventListener("toggle", () => this.#stop());
    whenLeft(element("help"), () => element("page").focus({ preventScroll: true }));
    const size = element("reading-size");
    size.addEventListener("input", () => {
      const text = element("text");
      text.className = text.className.replace(/\bsize-\d+\b/, `size-${size.value}`);
      element("reading-size-now").value = `${size.value} px`;
      writeLook({ ...readLook(document.cookie), size: Number(size.value) });
    });
  }

  #paint() {
    element("help-keys").replaceChildren(...this.keyboard.rows.map((row) => this.#row(row)));
    for (const printed of document.querySelectorAll("kbd[data-key-of]")) {
      printed.textContent = keyText(this.keyboard.keyOf(printed.dataset.keyOf));
    }
    element("keys-reset").hidden = Object.keys(this.#own).length === 0;
  }

  #row([keys, action, words]) {
    const change = make("button", { type: "button", class: "button plain", "aria-label": t("Change the key: {words}", { words }) }, t("Change"));
    change.addEventListener("click", () => this.#wait(action));
    return make(
      "tr",
      { "data-action": action },
      make("th", { scope: "row" }, ...keys.flatMap((key, index) => [index ? ` ${t("or")} ` : "", make("kbd", {}, keyText(key))])),
      make("td", {}, words),
      make("td", {}, action === "leave" ? null : change),
    );
  }

  /** The next key is the new one. */
  #wait(action) {
    this.#stop();
    this.#waiting = action;
    const row = element("help-keys").querySelector(`[data-action="${action}"]`);
    row.classList.add("is-waiting");
    this.#say(t("Press the new key, or Escape to leave it."));
  }

  #stop() {
    if (!this.#waiting) return;
    element("help-keys").querySelector(".is-waiting")?.classList.remove("is-waiting");
    this.#waiting = null;
    this.#say(t("“Change”, then the new key."));
  }

  #key(event) {
    if (!this.#waiting || event.isComposing) return;
    const key = keyName(event);
    if (!key) return;
    event.preventDefault();
    event.stopPropagation();
    if (key === "Escape") {
      this.#stop();
      return;
    }
    const why = refusal(this.keyboard.rows, this.keyboard.labels, this.#waiting, key);
    if (why) {
      this.#say(t("Not possible. {why}", { why }));
      return;
    }
    const [, , words] = KEYS.find((row) => row[1] === this.#waiting);
    const action = this.#waiting;
    this.#keep({ ...this.#own, [action]: [key] }, `${keyText(key)}: ${words}.`);
    element("help-keys").querySelector(`[data-action="${action}"] button`)?.focus();
  }

  #keep(own, words) {
    this.#stop();
    this.#own = own;
    this.keyboard.setOwn(own);
    try {
      writeKeys(this.user, own);
      this.#say(words);
    } catch {
      this.#say(`${words} ${t("This browser cannot keep it beyond this page.")}`);
    }
    this.#paint();
    this.onKeys();
  }

  #say(words) {
    element("keys-said").textContent = words;
  }
}
