/** The workbench: one text at a time, from the queue to the server, and nothing lost on the way. */

import { n, t } from "../i18n.js";
import { Actions } from "./actions.js";
import { Api, Problem } from "./api.js";
import { Bulk } from "./bulk.js";
import { Card } from "./card.js";
import { Caret } from "./caret.js";
import { Comments } from "./comments.js";
import { Conflict } from "./conflict.js";
import { Drafts } from "./drafts.js";
import { wireEdges, wireQueueFilter } from "./edges.js";
import { Filter } from "./filter.js";
import { Keyboard } from "./keyboard.js";
import { LastLine } from "./lastline.js";
import { Lease } from "./lease.js";
import { Minimap } from "./minimap.js";
import { Offer } from "./offer.js";
import { Outbox, freshKey } from "./outbox.js";
import { Panel, paintQueue } from "./panel.js";
import { Pointer } from "./pointer.js";
import { LabelMenu } from "./relabel.js";
import { TextView, describe } from "./render.js";
import { Sheet } from "./sheet.js";
import { Review } from "./state.js";
import { Stuck } from "./stuck.js";
import { TouchBar } from "./touch.js";

const element = (id) => document.getElementById(id);

export class Workbench {
  review = null;

  /** The label that a new span gets. */
  armed = null;

  /** While two versions are compared, no key and no button acts on the text behind them. */
  isComparing = false;

  #upcoming = null;
  /** Texts that were left for later: they come again when nothing else waits. */
  #later = new Set();
  #isClosing = false;
  #queueTimer = null;
  #today;

  constructor(store, { keeps, config }) {
    this.config = config;
    this.#today = config.doneToday;
    this.settings = { allowOverlap: config.allowOverlap, sure: config.sure };
    this.api = new Api(config);
    this.outbox = new Outbox(store, this.api);
    this.actions = new Actions(this);
    this.view = new TextView(element("text"));
    this.caret = new Caret(this.view);
    this.pointer = new Pointer(this.view, (start, end) => this.actions.mark(start, end));
    this.keyboard = new Keyboard(this.actions, this.caret);
    this.line = new LastLine(this.outbox, config, this.keyboard);
    this.line.keepsDrafts = keeps;
    this.drafts = new Drafts(store, `${config.user.id}:${config.base}`, this.line);
    this.panel = new Panel({ actions: this.actions, keyboard: this.keyboard });
    this.filter = new Filter(element("filter"), () => this.#filtered());
    this.bulk = new Bulk(this.view, config.sure, () => this.backToText());
    this.labelMenu = new LabelMenu(element("label-menu"), () => this.backToText());
    this.comments = new Comments(this);
    this.minimap = new Minimap(element("minimap"), this.view);
    this.touch = new TouchBar({ bar: element("touch-bar"), pointer: this.pointer, actions: this.actions, work: this });
    this.offer = config.offers ? new Offer(this.api, element("offer"), this.keyboard) : null;
    this.card = new Card(this.view, element("card"));
    this.stuck = new Stuck(this, new Conflict(element("conflict"), this.settings));
    this.sheet = new Sheet(this.keyboard, config.user.id, () => this.repaintEdges());
    this.#wire();
  }

  async start(task) {
    await this.outbox.start();
    // Decided here already, before the page was left, and on its way to the server.
    if (this.outbox.tasks.includes(task.id)) await this.#advance();
    else await this.#show(task, { painted: true });
    document.body.dataset.ready = "true";
  }

  /** Compare two versions in the place of the text. */
  setComparing(isOn) {
    if (isOn) this.caret.stop();
    this.isComparing = isOn;
    document.body.classList.toggle("is-comparing", isOn);
    element("side").inert = isOn;
    this.#footer();
    if (!isOn) element("page").focus({ preventScroll: true });
  }

  /** Put spans on the page as a draft of a task, to be mended. */
  async open(task, spans, number) {
    const review = new Review(task, this.settings);
    review.replaceAll(spans, number);
    await this.drafts.keep(review);
    await this.#show(task);
  }

  // --- One text ---------------------------------------------------------------------------------------

  async #show(task, { painted = false } = {}) {
    const draft = await this.drafts.get(task.id);
    performance.mark("show");
    const review = new Review(task, this.settings);
    if (draft) review.restore(draft);
    this.review = review;
    this.armed = review.labels.has(this.armed) ? this.armed : (task.labels[0]?.name ?? "");
    this.caret.use(review);
    this.pointer.use(review);
    this.keyboard.use(task.labels);
    this.filter.use(review);
    this.offer?.use(review, review.activeSpan);
    this.view.show(review, { painted: painted && !draft && !task.propagated?.length && !this.filter.isActive });
    this.panel.use(review, this.armed);
    this.comments.use(task);
    this.minimap.due({ moved: true });
    review.addEventListener("paint", (event) => this.#painted(review, event.detail));
    this.#showHead(task);
    if (!painted) {
      history.replaceState(null, "", `?task=${task.id}`);
      element("page").scrollTop = 0;
      element("page").focus({ preventScroll: true });
      this.say(`${task.document.name}, ${task.reason}, ${n("1 span", "{count} spans", review.spans.size)}`);
    }
    this.#footer();
    performance.measure("show", "show");
    this.#prefetch();
    if (draft && review.isTouched) this.say(t("Your unfinished work on this text is back."));
  }

  #showHead(task) {
    element("document-name").textContent = task.document.name;
    element("reason").textContent = task.reason;
    element("reason").className = `reason ${task.stratum}`;
    element("version").textContent = task.current
      ? t("corrected by {author}", task.current)
      : task.prediction.version;
    // The page was served for one text; what vouches for it is not for the next one.
    element("gold")?.toggleAttribute("hidden", element("gold").dataset.task !== String(task.id));
    for (const link of element("queue").querySelectorAll("a")) {
      const isCurrent = link.search === `?task=${task.id}`;
      if (isCurrent) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  #painted(review, { ranges, changed }) {
    if (review !== this.review) return;
    // Painting replaces the focused element; whoever had the focus in the text gets it back.
    const hadFocus = element("page").contains(document.activeElement);
    this.view.paint(ranges);
    this.repaintEdges();
    if (hadFocus && review.active) this.view.reveal(review.active);
    if (hadFocus && !review.active) element("page").focus({ preventScroll: true });
    if (changed) this.drafts.keep(review);
  }

  #filtered() {
    this.view.repaint();
    this.repaintEdges();
  }

  /** Everything around the text. */
  repaintEdges() {
    if (this.review) {
      this.panel.paint(this.armed);
      this.offer?.use(this.review, this.review.activeSpan);
    }
    this.touch.paint();
    this.minimap.due();
    this.#footer();
  }

  // --- On to the next ---------------------------------------------------------------------------------

  #prefetch() {
    const besides = [this.review.task.id, ...this.outbox.tasks, ...this.#later];
    const upcoming = this.api.next(besides).then(({ task }) => task);
    upcoming.catch(() => {
      if (this.#upcoming === upcoming) this.#upcoming = null;
    });
    this.#upcoming = upcoming;
  }

  async #close(verb, body, words) {
    if (this.#isClosing || !this.review) return;
    this.#isClosing = true;
    const { task } = this.review;
    try {
      this.caret.stop();
      await this.outbox.add({ task: task.id, name: task.document.name, verb, body });
      await this.drafts.drop(task.id);
      this.say(words);
      await this.#advance();
    } catch {
      this.line.notice("storage", t("This browser could not keep the decision, so it was not taken. Try again."), []);
    } finally {
      this.#isClosing = false;
    }
  }

  async #advance() {
    const known = new Set([...this.outbox.tasks, ...this.#later]);
    try {
      let task = await this.#upcoming;
      if (!task || known.has(task.id)) ({ task } = await this.api.next([...known]));
      this.line.clearNotice("next");
      if (task) await this.#show(task);
      else await this.#nothingWaits();
    } catch (error) {
      this.#stall(error);
    }
  }

  /** The next text is not here: say so, and go on by itself once the server answers again. */
  #stall(error) {
    this.#clear();
    const words = error instanceof Problem ? error.message : t("The server cannot be reached, so the next text is not here yet.");
    this.line.notice("next", words, [[t("Try again"), () => this.#advance()]]);
    this.#footer();
    setTimeout(() => {
      if (!this.review) this.#advance();
    }, 3_000);
  }

  async #nothingWaits() {
    await this.outbox.flush();
    if (this.outbox.entries.length === 0) {
      location.assign(this.config.base);
      return;
    }
    this.#clear();
    this.line.notice("next", t("No other text waits. What is kept here is still on its way."), []);
    this.#footer();
  }

  #clear() {
    this.review = null;
    this.#upcoming = null;
    element("text").replaceChildren();
    for (const id of ["reason", "version"]) element(id).textContent = "";
    element("document-name").textContent = t("No text");
    this.touch.paint();
  }

  // --- What concerns the whole page (see actions.js for the text) -------------------------------------

  arm(name) {
    this.armed = name;
  }

  /** Into the caret mode; a second time leaves it. */
  toggleCaret() {
    if (!this.review) return;
    if (this.caret.isOn) this.caret.stop();
    else {
      this.caret.start();
      element("page").focus({ preventScroll: true });
      this.say(t("Marking by keyboard. Arrows move, Shift extends, a label's key marks, Escape leaves."));
    }
    this.#footer();
  }

  async submit() {
    if (!this.review) return;
    const marked = this.caret.isOn && this.caret.marked;
    if (marked) {
      // In the caret mode Enter marks; nobody means to submit with a selection half made.
      this.actions.label(this.armed);
      return;
    }
    const { review } = this;
    review.clock.pass();
    const body = {
      spans: review.result,
      base_number: review.number,
      idempotency_key: freshKey(),
      milliseconds: Math.round(review.clock.milliseconds),
      decisions_ms: review.clock.decisions,
    };
    await this.#close("submit", body, t("Submitted."));
  }

  /** Go on without a decision; the work on this text stays here as a draft, and others may take the text. */
  async later() {
    if (!this.review || this.#isClosing) return;
    this.#isClosing = true;
    const { task } = this.review;
    this.caret.stop();
    this.#later.add(task.id);
    // A lease that cannot be given back ends by itself.
    this.api.release(task.id).catch(() => {});
    await this.#advance();
    this.#isClosing = false;
  }

  skip() {
    if (!this.review) return;
    const form = element("skip-form");
    form.hidden = !form.hidden;
    if (!form.hidden) form.elements.reason.focus();
    else element("page").focus();
  }

  async #skipWith(reason) {
    element("skip-form").hidden = true;
    element("skip-form").reset();
    await this.#close("skip", { reason }, t("Skipped."));
  }

  openFilter() {
    document.body.classList.remove("no-side");
    element("span-list").open = true;
    element("filter").elements.words.focus();
  }

  leave() {
    const popover = document.querySelector("[popover]:popover-open");
    if (popover) popover.hidePopover();
    else if (!element("skip-form").hidden) this.skip();
    else if (this.caret.isOn) this.toggleCaret();
    else this.review?.activate(null);
  }

  // --- What the page says -----------------------------------------------------------------------------

  /** For whoever listens; what the text shows need not be read as well. */
  say(words) {
    this.line.say(words);
  }

  /** For everybody. */
  answer(words) {
    this.line.answer(words);
  }

  sayActive() {
    const { review } = this;
    const span = review.activeSpan;
    if (!span) return;
    const at = review.ordered.indexOf(span) + 1;
    this.say(t("{span}, {at} of {all}", { span: describe(review, span), at, all: review.spans.size }));
  }

  #footer() {
    const review = this.isComparing ? null : this.review;
    this.line.paint({ review, isMarking: this.caret.isOn, today: this.#today });
  }

  /** From the edge back to the text, with the span in sight at both. */
  backToText() {
    element("side").scrollTop = 0;
    if (this.review?.active) this.view.reveal(this.review.active);
    else element("page").focus({ preventScroll: true });
  }

  // --- Wiring -----------------------------------------------------------------------------------------

  #wire() {
    const { outbox } = this;
    outbox.addEventListener("change", () => this.#footer());
    outbox.addEventListener("stuck", (event) => this.stuck.tell(event.detail.entry));
    outbox.addEventListener("sent", ({ detail }) => {
      this.line.savedAt = Date.now();
      if (detail.entry.verb === "submit") this.#today += 1;
      this.#footer();
      if (detail.entry.verb !== "comment") this.#refreshQueue();
    });
    const buttons = { submit: "submit", skip: "skip", undo: "undo", redo: "redo", mark: "toggleCaret", "above-open": "above" };
    for (const [id, action] of Object.entries(buttons)) {
      element(id).addEventListener("click", () => this.actions[action]());
    }
    this.#wireForms();
    wireEdges();
    wireQueueFilter();
    document.addEventListener("visibilitychange", () => this.review?.clock.setAway(document.hidden));
    setInterval(() => this.#footer(), 10_000);
    new Lease({
      api: this.api,
      seconds: this.config.leaseSeconds,
      task: () => (this.review?.task.status === "open" ? this.review.task : null),
      onLost: (task) => this.line.notice("lease", t("“{name}” went to somebody else while you were away. You can still submit: nothing will be overwritten.", task.document), []),
    });
  }

  #wireForms() {
    element("skip-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#skipWith(event.submitter?.value || event.target.elements.reason.value);
    });
    element("skip-form").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.skip();
    });
    element("filter").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" && event.key !== "Enter") return;
      // Enter goes on with what the filter shows; Escape leaves the filter too, as it leaves all else.
      if (event.key === "Escape") element("filter").reset();
      this.backToText();
    });
  }

  #refreshQueue() {
    clearTimeout(this.#queueTimer);
    this.#queueTimer = setTimeout(async () => {
      try {
        const { rows, progress } = await this.api.queue();
        paintQueue(element("queue"), rows, this.review?.task.id, this.config.base);
        element("waiting").textContent = String(progress.waiting);
        element("progress").value = progress.done;
        element("progress").max = progress.done + progress.waiting || 1;
        this.#today = progress.mine_today;
        this.#footer();
      } catch {
        // An old queue is no harm; the next submit asks again.
      }
    }, 600);
  }
}
