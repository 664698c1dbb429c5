/** What reviewers say to each other about the text, kept safe on its way like every decision. */

import { language, t } from "../i18n.js";
import { make, phrase } from "./dom.js";
import { freshKey } from "./outbox.js";

const element = (id) => document.getElementById(id);

export class Comments {
  #task = null;
  #about = null;
  #rows = [];

  constructor(work) {
    this.work = work;
    this.form = element("comment-form");
    this.field = this.form.elements.body;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.field.addEventListener("focus", () => this.#aim());
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.work.backToText();
      else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#send();
      else return;
      event.preventDefault();
    });
    work.outbox.addEventListener("sent", ({ detail: { entry, answer } }) => {
      if (entry.verb === "comment" && entry.task === this.#task?.id) this.#show(answer.comments);
    });
    work.outbox.addEventListener("change", () => this.#paint());
  }

  use(task) {
    this.#task = task;
    this.#about = null;
    this.field.value = "";
    this.#show(task.comments ?? []);
  }

  /** Begin a comment: on the span that is active, else on the text. */
  write() {
    if (!this.#task) return;
    document.body.classList.remove("no-side");
    element("comments").open = true;
    this.field.focus();
  }

  #aim() {
    this.#about = this.work.review?.activeSpan ?? null;
    const words = this.#about
      ? phrase(t("About {words}"), { words: make("bdi", {}, `“${this.work.review.surface(this.#about)}”`) })
      : [t("About the text")];
    element("comment-about").replaceChildren(...words);
  }

  async #send() {
    const body = this.field.value.trim();
    const { review, outbox, line } = this.work;
    if (!body || !review) return;
    const range = this.#about && { start: review.offsets.toCodePoint(this.#about.start), end: review.offsets.toCodePoint(this.#about.end) };
    try {
      await outbox.add({
        task: this.#task.id,
        name: this.#task.document.name,
        verb: "comment",
        body: { body, ...range, idempotency_key: freshKey() },
      });
    } catch {
      line.notice("storage", t("This browser could not keep the comment, so it was not taken. Try again."), []);
      return;
    }
    this.field.value = "";
    this.work.answer(t("Comment kept."));
    this.work.backToText();
  }

  async #resolve(comment, isResolved) {
    try {
      const { comments } = await this.work.api.resolve(comment.id, isResolved);
      this.#show(comments);
      this.work.say(isResolved ? t("Comment resolved.") : t("Comment opened again."));
    } catch (error) {
      this.work.say(error.message);
    }
  }

  #show(rows) {
    this.#rows = rows;
    if (rows.some(({ resolvedBy }) => !resolvedBy)) element("comments").open = true;
    this.#paint();
  }

  #paint() {
    const waiting = this.work.outbox.entries.filter(({ verb, task }) => verb === "comment" && task === this.#task?.id);
    const open = this.#rows.filter(({ resolvedBy }) => !resolvedBy).length + waiting.length;
    element("comment-count").textContent = open ? String(open) : "";
    element("comment-list").replaceChildren(
      ...this.#rows.map((comment) => this.#row(comment)),
      ...waiting.map(({ body }) => make("li", {}, make("p", { class: "quiet" }, t("you, on its way")), make("p", {}, body.body))),
    );
  }

  #row(comment) {
    const { review } = this.work;
    const act = make("button", { type: "button", class: "button plain" }, comment.resolvedBy ? t("Open again") : t("Resolve"));
    act.addEventListener("click", () => this.#resolve(comment, !comment.resolvedBy));
    const state = comment.resolvedBy ? `, ${t("resolved by {name}", { name: comment.resolvedBy })}` : "";
    return make(
      "li",
      { class: comment.resolvedBy ? "resolved" : null },
      make("p", { class: "quiet" }, comment.author, " ", make("time", { datetime: comment.at }, when(comment.at)), state),
      comment.start === null || !review ? null : this.#quote(comment),
      make("p", { class: "comment-body", dir: "auto" }, comment.body),
      act,
    );
  }

  /** The words that it is about; they lead there. */
  #quote({ start, end }) {
    const { review, view } = this.work;
    const [from, to] = [review.offsets.toUtf16(start), review.offsets.toUtf16(end)];
    const button = make("button", { type: "button", class: "quote" }, make("bdi", {}, review.text.slice(from, to)));
    button.addEventListener("click", () => {
      const span = review.touching(from, to)[0];
      if (span) this.work.actions.choose(span.id);
      view.scrollTo(from);
    });
    return button;
  }
}

function when(moment) {
  return new Date(moment).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
}
