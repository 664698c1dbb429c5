/** What the page says: the last line, notices, and what a screen reader hears. */

import { n, t } from "../i18n.js";
import { make } from "./dom.js";
import { keyText } from "./keymap.js";
import { isOpen } from "./state.js";

const element = (id) => document.getElementById(id);

/** So long an answer stands where the hints stand. */
const ANSWER_MS = 5000;

export class LastLine {
  #draftsOnTheirWay = 0;
  #answer = "";
  #answerEnds = null;
  #painted = { review: null, isMarking: false };

  constructor(outbox, { user, signIn }, keyboard) {
    this.outbox = outbox;
    this.user = user;
    this.signIn = signIn;
    this.keyboard = keyboard;
    this.savedAt = null;
    this.keepsDrafts = true;
  }

  /** For a screen reader, once. */
  say(words) {
    element("live").textContent = words;
  }

  /** An answer to a key that the text itself does not show: in the place of the hints for a while. */
  answer(words) {
    clearTimeout(this.#answerEnds);
    this.#answer = words;
    this.#answerEnds = setTimeout(() => this.#endAnswer(), ANSWER_MS);
    this.say(words);
    this.#paintHint();
  }

  #endAnswer() {
    this.#answer = "";
    this.#paintHint();
  }

  /** A sentence above the text with what can be done about it. */
  notice(id, words, actions) {
    this.clearNotice(id);
    const buttons = actions.map(([text, act]) => {
      const button = make("button", { type: "button", class: "button" }, text);
      button.addEventListener("click", act);
      return button;
    });
    element("notices").append(
      make(
        "div",
        { class: "notice warning", "data-notice": id },
        make("p", {}, words),
        make("div", { class: "actions" }, ...buttons),
      ),
    );
    this.say(words);
  }

  clearNotice(id) {
    element("notices").querySelector(`[data-notice="${CSS.escape(id)}"]`)?.remove();
  }

  /** Paint the line for a review (null while there is none) and the mode of the hand. */
  paint({ review, isMarking, today }) {
    const saved = element("saved");
    saved.replaceChildren(...this.#saved(review));
    saved.dataset.state = this.outbox.stuck.length ? "stuck" : this.outbox.connection;
    this.#painted = { review, isMarking };
    this.#paintHint();
    for (const [id, isOn] of [
      ["submit", review],
      ["skip", review],
      ["mark", review],
      ["undo", review?.past.length],
      ["redo", review?.future.length],
    ]) {
      element(id).disabled = !isOn;
    }
    element("mark").setAttribute("aria-pressed", String(isMarking));
    element("today").textContent = String(today);
  }

  #paintHint() {
    const { review, isMarking } = this.#painted;
    const hint = review ? hints(review, isMarking, (action) => keyText(this.keyboard.keyOf(action))) : [];
    const keys = () => hint.flatMap(([key, words]) => [make("kbd", {}, key), ` ${words}  `]);
    element("hint").replaceChildren(...(this.#answer ? [this.#answer] : keys()));
    element("hint").classList.toggle("is-answer", Boolean(this.#answer));
  }

  /** A draft is on its way to the disk: until it is there, what the line says about it is not settled. */
  draftBegins() {
    this.#draftsOnTheirWay += 1;
    element("saved").setAttribute("aria-busy", "true");
  }

  /** This browser keeps no drafts any more. */
  draftsEnd() {
    this.keepsDrafts = false;
  }

  draftEnds() {
    this.#draftsOnTheirWay -= 1;
    if (!this.#draftsOnTheirWay) element("saved").removeAttribute("aria-busy");
  }

  #saved(review) {
    const kept = this.outbox.entries.length;
    const { connection } = this.outbox;
    if (connection === "signed-out") {
      const link = make("a", { href: this.signIn, target: "_blank", rel: "noopener" }, t("Sign in as {name}", this.user));
      return [t("Your session has ended; {kept} kept here.", { kept }), " ", link];
    }
    if (this.outbox.stuck.length) return [n("1 text kept here, not saved", "{count} texts kept here, not saved", this.outbox.stuck.length)];
    if (connection === "offline") return [kept ? t("offline, {kept} kept here", { kept }) : t("offline")];
    if (connection === "server") return [t("the server is busy, {kept} kept here", { kept })];
    if (kept) return [t("saving {kept}…", { kept })];
    if (!this.keepsDrafts) return [t("this browser keeps no drafts")];
    if (this.savedAt) return [ago(this.savedAt)];
    return [review?.isTouched ? t("draft kept here") : t("nothing to save")];
  }
}

/** What the next key does, in words. */
function hints(review, isMarking, keyOf) {
  const digits = review.task.labels.map((label) => label.hotkey).filter(Boolean);
  const labels = digits.length > 1 ? `${digits[0]}…${digits.at(-1)}` : (digits[0] ?? "");
  if (isMarking) {
    return [["← →", t("move")], ["Shift", t("extend")], [labels, t("mark as")], [keyOf("menu"), t("by name")], ["Esc", t("leave")]];
  }
  const span = review.activeSpan;
  if (!span) return [[keyOf("next"), t("next span")], [keyOf("unsure"), t("least sure")], [keyOf("toggleCaret"), t("mark by keyboard")]];
  const unwanted = span.state === "rejected" ? t("take back") : span.machine ? t("reject") : t("remove");
  const accept = isOpen(span) || span.state === "rejected" ? [[keyOf("accept"), t("accept")]] : [];
  return [...accept, [keyOf("reject"), unwanted], [labels, t("relabel")], [keyOf("equal"), t("all equal")], [keyOf("endRight"), t("move the end")]];
}

function ago(moment) {
  const seconds = Math.round((Date.now() - moment) / 1000);
  if (seconds < 60) return t("saved {seconds} s ago", { seconds });
  return t("saved {minutes} min ago", { minutes: Math.round(seconds / 60) });
}
