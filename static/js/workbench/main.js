/** The workbench: one text at a time, from the queue to the server, and nothing lost on the way. */

import { Api, Problem } from "./api.js";
import { Caret } from "./caret.js";
import { Conflict } from "./conflict.js";
import { wireEdges, writeHelp } from "./edges.js";
import { Keyboard } from "./keyboard.js";
import { LastLine } from "./lastline.js";
import { stepCharacter, stepWord } from "./offsets.js";
import { MemoryStore, Outbox, Store, freshKey } from "./outbox.js";
import { Panel, count, paintQueue } from "./panel.js";
import { Pointer } from "./pointer.js";
import { TextView, describe } from "./render.js";
import { Review } from "./state.js";
import { Stuck } from "./stuck.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const element = (id) => document.getElementById(id);

const config = read("workbench-config");
const api = new Api(config);
const settings = { allowOverlap: config.allowOverlap, sure: config.sure };

class Workbench {
  review = null;
  armed = null;
  #upcoming = null;
  #draftWrite = Promise.resolve();
  #isClosing = false;
  #queueTimer = null;
  #today = config.doneToday;

  /** While two versions are compared, no key and no button acts on the text behind them. */
  isComparing = false;

  constructor(store, { keeps }) {
    this.store = store;
    this.api = api;
    this.outbox = new Outbox(store, api);
    this.line = new LastLine(this.outbox, config.user, config.signIn);
    this.line.keepsDrafts = keeps;
    this.view = new TextView(element("text"));
    this.caret = new Caret(this.view);
    this.pointer = new Pointer(this.view, (start, end) => this.mark(start, end));
    this.keyboard = new Keyboard(this, this.caret);
    this.panel = new Panel({ actions: this, version: "" });
    this.stuck = new Stuck(this, new Conflict(element("conflict"), settings));
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
    const review = new Review(task, settings);
    review.replaceAll(spans, number);
    await this.store.put("drafts", { id: this.#draftId(task.id), at: Date.now(), ...review.draft });
    await this.#show(task);
  }

  // --- One text ---------------------------------------------------------------------------------------

  async #show(task, { painted = false } = {}) {
    const draft = await this.store.get("drafts", this.#draftId(task.id));
    performance.mark("show");
    const review = new Review(task, settings);
    if (draft) review.restore(draft);
    this.review = review;
    this.armed = review.labels.has(this.armed) ? this.armed : (task.labels[0]?.name ?? "");
    this.caret.use(review);
    this.pointer.use(review);
    this.keyboard.use(task.labels);
    this.panel.version = task.prediction.version;
    this.view.show(review, { painted: painted && !draft });
    this.panel.use(review, this.armed);
    review.addEventListener("paint", (event) => this.#painted(review, event.detail));
    this.#showHead(task);
    if (!painted) {
      history.replaceState(null, "", `?task=${task.id}`);
      element("page").scrollTop = 0;
      element("page").focus({ preventScroll: true });
      this.say(`${task.document.name}, ${task.reason}, ${count(review.spans.size, "span")}`);
    }
    this.#footer();
    performance.measure("show", "show");
    this.#prefetch();
    if (draft && review.isTouched) this.say("Your unfinished work on this text is back.");
  }

  #showHead(task) {
    element("document-name").textContent = task.document.name;
    element("reason").textContent = task.reason;
    element("reason").className = `reason ${task.stratum}`;
    element("version").textContent = task.current
      ? `corrected by ${task.current.author}`
      : task.prediction.version;
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
    this.panel.paint(this.armed);
    this.#footer();
    if (hadFocus && review.active) this.view.reveal(review.active);
    if (hadFocus && !review.active) element("page").focus({ preventScroll: true });
    if (changed) this.#keepDraft(review);
  }

  #draftId(task) {
    return `${config.user.id}:${config.base}:${task}`;
  }

  #keepDraft(review) {
    const draft = { id: this.#draftId(review.task.id), at: Date.now(), ...review.draft };
    this.line.draftBegins();
    this.#draftWrite = this.#draftWrite
      .then(() => this.store.put("drafts", draft))
      .catch(() => this.#cannotKeep())
      .finally(() => this.line.draftEnds());
  }

  #cannotKeep() {
    this.line.keepsDrafts = false;
    this.#footer();
  }

  // --- On to the next ---------------------------------------------------------------------------------

  #prefetch() {
    const besides = [this.review.task.id, ...this.outbox.tasks];
    const upcoming = api.next(besides).then(({ task }) => task);
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
      await this.#dropDraft(task.id);
      this.say(words);
      await this.#advance();
    } catch {
      this.line.notice("storage", "This browser could not keep the decision, so it was not taken. Try again.", []);
    } finally {
      this.#isClosing = false;
    }
  }

  async #dropDraft(task) {
    this.#draftWrite = this.#draftWrite.then(() => this.store.delete("drafts", this.#draftId(task)));
    await this.#draftWrite;
  }

  async #advance() {
    const known = new Set(this.outbox.tasks);
    try {
      let task = await this.#upcoming;
      if (!task || known.has(task.id)) ({ task } = await api.next([...known]));
      this.line.clearNotice("next");
      if (task) await this.#show(task);
      else await this.#nothingWaits();
    } catch (error) {
      this.#stall(error);
    }
  }

  /** The next text is not here: say so, and go on by itself once the server answers again. */
  #stall(error) {
    this.review = null;
    this.#upcoming = null;
    element("text").replaceChildren();
    element("document-name").textContent = "";
    element("reason").textContent = "";
    element("version").textContent = "";
    const words = error instanceof Problem ? error.message : "The server cannot be reached, so the next text is not here yet.";
    this.line.notice("next", words, [["Try again", () => this.#advance()]]);
    this.#footer();
    setTimeout(() => {
      if (!this.review) this.#advance();
    }, 3_000);
  }

  async #nothingWaits() {
    await this.outbox.flush();
    if (this.outbox.entries.length === 0) {
      location.assign(config.base);
      return;
    }
    this.review = null;
    element("text").replaceChildren();
    this.line.notice("next", "No other text waits. What is kept here is still on its way.", []);
    this.#footer();
  }

  // --- What a person can do (names as in keyboard.js) -------------------------------------------------

  mark(start, end) {
    if (!this.review) return;
    const { span, replaced } = this.review.add(start, end, this.armed);
    this.pointer.justMarked();
    this.view.reveal(span.id);
    const instead = replaced.length ? `, instead of ${replaced.map((other) => this.review.surface(other)).join(" and ")}` : "";
    this.say(`Marked ${describe(this.review, span)}${instead}`);
  }

  label(name) {
    if (!this.review?.labels.has(name)) return;
    this.armed = name;
    const marked = this.caret.marked ?? this.pointer.marked;
    if (marked) {
      this.caret.stop();
      getSelection().removeAllRanges();
      this.mark(marked.start, marked.end);
    } else if (this.review.active) {
      this.review.relabel(this.review.active, name);
      this.#sayActive();
    }
    this.panel.paint(this.armed);
    this.#footer();
  }

  choose(id) {
    this.caret.stop();
    this.review.activate(id);
    this.view.reveal(id);
    this.#sayActive();
  }

  next() {
    this.#go(1);
  }

  previous() {
    this.#go(-1);
  }

  #go(direction) {
    if (!this.review) return;
    const span = this.review.neighbour(direction);
    if (span) this.choose(span.id);
    else this.say(this.review.spans.size ? "No further span." : "This text has no spans.");
  }

  unsure() {
    const span = this.review?.undecided.find((other) => other.id !== this.review.active);
    if (span) this.choose(span.id);
    else this.say("No suggestion is left undecided.");
  }

  accept() {
    this.#onActive((span) => void this.review.accept(span.id));
  }

  reject() {
    this.#onActive((span) => void this.review.reject(span.id), "removed");
  }

  remove() {
    const span = this.review?.activeSpan;
    if (span && span.state !== "rejected") this.reject();
  }

  endRight(byWord) {
    this.#move("end", 1, byWord);
  }

  endLeft(byWord) {
    this.#move("end", -1, byWord);
  }

  startRight(byWord) {
    this.#move("start", 1, byWord);
  }

  startLeft(byWord) {
    this.#move("start", -1, byWord);
  }

  #move(edge, direction, byWord) {
    this.#onActive((span) => {
      const { text } = this.review;
      const step = byWord ? stepWord : stepCharacter;
      const isBlank = (place) => /\s/.test(text[edge === "end" ? place - 1 : place] ?? "x");
      let place = step(text, span[edge], direction);
      // Never end on a blank: the next move goes on over it.
      while (isBlank(place) && place > 0 && place < text.length) place = stepCharacter(text, place, direction);
      const [start, end] = edge === "end" ? [span.start, place] : [place, span.end];
      const [low, high] = this.review.reach(span);
      const fits = low <= start && start < end && end <= high && !isBlank(place);
      if (fits) this.review.resize(span.id, start, end);
      return fits ? null : "It goes no further.";
    });
  }

  #onActive(act, gone = "") {
    if (!this.review) return;
    const span = this.review.activeSpan;
    if (!span) {
      this.say("Choose a span first: j goes to the next one.");
      return;
    }
    const surface = this.review.surface(span);
    const words = act(span);
    const after = this.review.spans.get(span.id);
    this.say(words ?? (after ? describe(this.review, after) : `${surface} ${gone}`));
  }

  undo() {
    if (this.review?.undo()) this.say("Undone.");
    else this.say("Nothing to undo.");
    if (this.review?.active) this.view.reveal(this.review.active, { focus: false });
  }

  redo() {
    if (this.review?.redo()) this.say("Done again.");
    else this.say("Nothing to do again.");
  }

  /** Into the caret mode; a second time leaves it. */
  toggleCaret() {
    if (!this.review) return;
    if (this.caret.isOn) this.caret.stop();
    else {
      this.caret.start();
      element("page").focus({ preventScroll: true });
      this.say("Marking by keyboard. Arrows move, Shift extends, a label's key marks, Escape leaves.");
    }
    this.#footer();
  }

  async submit() {
    if (!this.review) return;
    const marked = this.caret.isOn && this.caret.marked;
    if (marked) {
      // In the caret mode Enter marks; nobody means to submit with a selection half made.
      this.label(this.armed);
      return;
    }
    const { review } = this;
    review.passTime();
    const body = {
      spans: review.result,
      base_number: review.number,
      idempotency_key: freshKey(),
      milliseconds: Math.round(review.milliseconds),
      decisions_ms: review.decisions,
    };
    await this.#close("submit", body, "Submitted.");
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
    await this.#close("skip", { reason }, "Skipped.");
  }

  leave() {
    const help = element("help");
    if (help.matches(":popover-open")) help.hidePopover();
    else if (!element("skip-form").hidden) this.skip();
    else if (this.caret.isOn) this.toggleCaret();
    else this.review?.activate(null);
  }

  help() {
    element("help").togglePopover();
  }

  // --- What the page says -----------------------------------------------------------------------------

  say(words) {
    this.line.say(words);
  }

  #sayActive() {
    const { review } = this;
    const span = review.activeSpan;
    if (!span) return;
    const at = review.ordered.indexOf(span) + 1;
    this.say(`${describe(review, span)}, ${at} of ${review.spans.size}`);
  }

  #footer() {
    const review = this.isComparing ? null : this.review;
    this.line.paint({ review, isMarking: this.caret.isOn, today: this.#today });
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
      this.#refreshQueue();
    });
    const buttons = { submit: "submit", skip: "skip", undo: "undo", redo: "redo", mark: "toggleCaret" };
    for (const [id, action] of Object.entries(buttons)) element(id).addEventListener("click", () => this[action]());
    element("skip-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#skipWith(event.submitter?.value || event.target.elements.reason.value);
    });
    element("skip-form").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.skip();
    });
    wireEdges();
    writeHelp();
    setInterval(() => this.#footer(), 10_000);
    setInterval(() => this.#renew(), (config.leaseSeconds * 1000) / 3);
  }

  async #renew() {
    if (!this.review || document.visibilityState !== "visible" || this.review.task.status !== "open") return;
    const { task } = this.review;
    try {
      const { held } = await api.renew(task.id);
      if (!held) this.line.notice("lease", `“${task.document.name}” went to somebody else while you were away. You can still submit: nothing will be overwritten.`, []);
    } catch {
      // The outbox notices a lost connection when it matters, at the next submit.
    }
  }

  #refreshQueue() {
    clearTimeout(this.#queueTimer);
    this.#queueTimer = setTimeout(async () => {
      try {
        const { rows, progress } = await api.queue();
        paintQueue(element("queue"), rows, this.review?.task.id, config.base);
        element("waiting").textContent = String(progress.waiting);
        this.#today = progress.mine_today;
        this.#footer();
      } catch {
        // An old queue is no harm; the next submit asks again.
      }
    }, 600);
  }
}

const [store, keeps] = await Store.open().then(
  (opened) => [opened, true],
  () => [new MemoryStore(), false],
);
await new Workbench(store, { keeps }).start(read("workbench-task"));
