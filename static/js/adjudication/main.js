/**
 * Adjudication: the text in the middle, the annotators' versions beside it, one decision for each difference.
 *
 * What is decided is kept as in the workbench: a draft in this browser until the text is done, and then in its
 * outbox until the server has it.
 */

import { t } from "../i18n.js";
import { Api } from "../workbench/api.js";
import { Caret } from "../workbench/caret.js";
import { Drafts } from "../workbench/drafts.js";
import { KEYS, Keyboard } from "../workbench/keyboard.js";
import { stepCharacter, stepWord } from "../workbench/offsets.js";
import { MemoryStore, Outbox, Store, freshKey } from "../workbench/outbox.js";
import { Pointer } from "../workbench/pointer.js";
import { TextView } from "../workbench/render.js";
import { Review } from "../workbench/state.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const element = (id) => document.getElementById(id);

const config = read("adjudication-config");
const task = read("adjudication-task");
/** A draft is of these differences: a late opinion makes others of them. */
const differences = JSON.stringify(task.regions);
const STALE = 412;

class Adjudication {
  /** The Keyboard asks: nothing here takes its keys away. */
  isComparing = false;

  #writes = 0;

  constructor(store, keeps) {
    this.keeps = keeps;
    this.outbox = new Outbox(store, new Api(config));
    this.drafts = new Drafts(store, `${config.user.id}:${config.base}`, this);
    this.review = new Review(task, { allowOverlap: config.allowOverlap, sure: 0 });
    this.at = 0;
    this.regions = task.regions.map((region, index) => ({
      start: this.review.offsets.toUtf16(region.start),
      end: this.review.offsets.toUtf16(region.end),
      versions: region.versions.map((spans) => spans.map((span) => this.#placed(span))),
      row: element("disputes").querySelector(`[data-region="${index}"]`),
      isDecided: false,
    }));
    this.view = new TextView(element("text"));
    this.caret = new Caret(this.view);
    this.pointer = new Pointer(this.view, (start, end) => this.#choose(start, end));
    // Before the Keyboard listens: here the digits are the versions, whatever labels have them elsewhere.
    document.addEventListener("keydown", (event) => this.#digit(event));
    // What the workbench can and this page cannot is left to the browser.
    for (const [, action] of KEYS) this[action] ??= () => false;
    this.keyboard = new Keyboard(this, this.caret);
    this.keyboard.use(task.labels);
    this.caret.use(this.review);
    this.pointer.use(this.review);
    this.#dress();
  }

  async start() {
    this.#wireOutbox();
    await this.outbox.start();
    const words = this.#restore(await this.drafts.get(task.id));
    this.view.show(this.review);
    this.#wire();
    const asked = task.regions.findIndex(({ start, end }) => start <= config.at && config.at < end);
    const open = this.regions.findIndex((region) => !region.isDecided);
    this.#go(Math.max(asked >= 0 ? asked : open, 0), { focus: asked >= 0 });
    if (this.outbox.tasks.includes(task.id)) this.#sending();
    else this.#say(words);
    document.body.dataset.ready = "true";
  }

  // --- What Drafts tells --------------------------------------------------------------------------------

  draftBegins() {
    this.#writes += 1;
    element("kept").setAttribute("aria-busy", "true");
  }

  draftsEnd() {
    this.keeps = false;
  }

  draftEnds() {
    this.#writes -= 1;
    if (this.#writes) return;
    element("kept").textContent = this.keeps ? t("draft kept here") : t("this browser keeps no drafts");
    element("kept").removeAttribute("aria-busy");
  }

  // --- What the keys do ---------------------------------------------------------------------------------

  next() {
    this.#go(Math.min(this.at + 1, this.regions.length - 1));
  }

  previous() {
    this.#go(Math.max(this.at - 1, 0));
  }

  /** The first difference that nobody has decided. */
  unsure() {
    const open = this.regions.findIndex((region) => !region.isDecided);
    if (open >= 0) this.#go(open);
  }

  reject() {
    this.remove();
  }

  remove() {
    if (this.review.active) this.review.reject(this.review.active);
  }

  endRight(byWord) {
    this.#edge(0, 1, byWord);
  }

  endLeft(byWord) {
    this.#edge(0, -1, byWord);
  }

  startRight(byWord) {
    this.#edge(1, 0, byWord);
  }

  startLeft(byWord) {
    this.#edge(-1, 0, byWord);
  }

  toggleCaret() {
    if (this.caret.isOn) this.caret.stop();
    else this.caret.start();
  }

  undo() {
    this.review.undo();
  }

  redo() {
    this.review.redo();
  }

  leave() {
    if (this.caret.isOn) this.caret.stop();
    else this.review.activate(null);
  }

  help() {
    document.querySelector(".adj-legend").scrollIntoView({ block: "nearest" });
  }

  /** A label's key marks what is selected, or relabels the chosen span. */
  label(name) {
    const marked = this.caret.marked ?? this.pointer.marked;
    if (marked) {
      this.review.add(...marked, name);
      this.caret.stop();
      getSelection().removeAllRanges();
    } else if (this.review.active) {
      this.review.relabel(this.review.active, name);
    }
  }

  async submit() {
    const open = this.regions.findIndex((region) => !region.isDecided);
    if (open >= 0) {
      this.#go(open);
      this.#say(element("said").dataset.open);
      return;
    }
    if (element("submit").disabled) return;
    this.review.clock.pass();
    element("submit").disabled = true;
    const body = {
      spans: this.review.result,
      base_number: task.number,
      idempotency_key: freshKey(),
      milliseconds: Math.round(this.review.clock.milliseconds),
    };
    try {
      await this.outbox.add({ task: task.id, name: task.document.name, verb: "submit", body });
    } catch {
      element("submit").disabled = false;
      this.#say(t("This browser could not keep the decision, so it was not taken. Try again."));
    }
  }

  // --- Inside -------------------------------------------------------------------------------------------

  /** Go on from a draft; what is to be said of it. */
  #restore(draft) {
    if (!draft) return "";
    if (draft.differences !== differences) {
      return t("The annotators differ in other places now, so your unfinished decision was put away.");
    }
    this.review.restore(draft);
    for (const [index, region] of this.regions.entries()) region.isDecided = draft.decided[index];
    return t("Your unfinished work on this text is back.");
  }

  #keep() {
    const decided = this.regions.map((region) => region.isDecided);
    this.drafts.keep({ task, draft: { ...this.review.draft, decided, differences } });
  }

  #wireOutbox() {
    this.outbox.addEventListener("change", () => {
      if (this.outbox.tasks.includes(task.id)) this.#sending();
    });
    this.outbox.addEventListener("sent", async ({ detail }) => {
      await this.drafts.drop(detail.entry.task);
      if (detail.entry.task === task.id) location.assign(config.base);
    });
    this.outbox.addEventListener("stuck", async ({ detail }) => {
      // The draft is still there: what was decided stays on the page.
      await this.outbox.drop(detail.entry);
      if (detail.entry.task !== task.id) return;
      element("submit").disabled = false;
      const { problem } = detail.entry;
      this.#say(problem.status === STALE ? t("Somebody else decided this text meanwhile. Load the page again: deciding again replaces that.") : problem.detail);
    });
  }

  #sending() {
    element("submit").disabled = true;
    const words = {
      online: () => t("saving {kept}…", { kept: 1 }),
      offline: () => t("The server cannot be reached. Your decision is kept here and sent once it can."),
      server: () => t("The server cannot be reached. Your decision is kept here and sent once it can."),
      "signed-out": () => t("Your session has ended. Sign in again in another tab: your decision is kept here and sent then."),
    }[this.outbox.connection];
    this.#say(words());
  }

  #placed({ start, end, label }) {
    return { start: this.review.offsets.toUtf16(start), end: this.review.offsets.toUtf16(end), label };
  }

  #digit(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || this.caret.isOn) return;
    if (event.target.closest("input, textarea, select") || !/^[0-9]$/.test(event.key)) return;
    const version = Number(event.key);
    const region = this.regions[this.at];
    if (!region || version > region.versions.length) return;
    event.preventDefault();
    this.take(this.at, version);
  }

  /** Put one version's spans, or none for 0, in the place of what stands at a difference. */
  take(index, version) {
    const region = this.regions[index];
    this.review.together(() => {
      for (const span of [...this.review.touching(region.start, region.end)]) this.review.reject(span.id);
      for (const span of version ? region.versions[version - 1] : []) {
        this.review.add(span.start, span.end, span.label);
      }
    });
    region.isDecided = true;
    this.#tell();
    this.#keep();
    const open = this.regions.findIndex((one, at) => at > index && !one.isDecided);
    this.#go(open >= 0 ? open : index);
  }

  #choose(start, end) {
    this.view.select(start, end);
  }

  #edge(start, end, byWord) {
    const span = this.review.activeSpan;
    if (!span) return;
    const step = byWord ? stepWord : stepCharacter;
    const moved = (place, by) => (by ? step(this.review.text, place, by) : place);
    this.review.resize(span.id, moved(span.start, start), moved(span.end, end), { join: true });
  }

  #go(index, { focus = true } = {}) {
    const region = this.regions[index];
    if (!region) return;
    this.at = index;
    for (const [place, { row }] of this.regions.entries()) {
      if (place === index) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
    region.row.scrollIntoView({ block: "nearest" });
    this.#point(region);
    if (focus) region.row.focus({ preventScroll: true });
    const [span] = this.review.touching(region.start, region.end);
    this.review.activate(span?.id ?? null);
  }

  /** The place in the text, where there may be no span to lie under a mark. */
  #point(region) {
    if (!CSS.highlights) return;
    const range = this.view.rangeOf(region.start, region.end);
    CSS.highlights.set("dispute", new Highlight(range));
    range.startContainer.parentElement?.scrollIntoView({ block: "nearest" });
  }

  /** Is what stands at a difference one of the versions? */
  #versionAt(region) {
    const key = (spans) => spans.map(({ start, end, label }) => `${start}:${end}:${label}`).join(" ");
    const here = key([...this.review.touching(region.start, region.end)]);
    return region.versions.findIndex((spans) => key(spans) === here);
  }

  #tell() {
    let left = 0;
    for (const region of this.regions) {
      const version = this.#versionAt(region);
      if (!region.isDecided) left += 1;
      const said = region.row.querySelector("[data-decision]");
      said.className = region.isDecided ? "state good" : "state";
      if (region.isDecided) said.textContent = version >= 0 ? String(version + 1) : "✎";
      for (const button of region.row.querySelectorAll("[data-choose]")) {
        const isTaken = region.isDecided && Number(button.dataset.choose) === version + 1;
        button.setAttribute("aria-pressed", String(isTaken));
      }
    }
    element("left").textContent = left ? String(left) : "✓";
    element("submit").disabled = this.outbox.tasks.includes(task.id);
  }

  #say(words) {
    element("said").textContent = words;
  }

  #dress() {
    for (const name of document.querySelectorAll("[data-name]")) name.textContent = task.names[name.dataset.name];
    for (const tag of document.querySelectorAll("[data-tag-of]")) {
      const label = this.review.labels.get(tag.dataset.tagOf);
      if (label) tag.classList.add(`hue-${label.hue}`, `pattern-${label.pattern}`);
    }
  }

  #wire() {
    this.review.addEventListener("paint", (event) => {
      this.view.paint(event.detail.ranges);
      if (event.detail.changed) this.#edited(event.detail.ranges);
      if (this.regions[this.at]) this.#point(this.regions[this.at]);
    });
    element("disputes").addEventListener("click", (event) => {
      const choose = event.target.closest("[data-choose]");
      const go = event.target.closest("[data-go]");
      if (choose) this.take(Number(choose.dataset.of), Number(choose.dataset.choose));
      else if (go) this.#go(Number(go.dataset.go));
    });
    element("labels").addEventListener("pointerdown", (event) => event.preventDefault());
    element("labels").addEventListener("click", (event) => {
      const button = event.target.closest("[data-label]");
      if (button) this.label(button.dataset.label);
    });
    element("submit").addEventListener("click", () => this.submit());
    this.#tell();
  }

  /** A change by hand at a difference decides it. */
  #edited(ranges) {
    for (const region of this.regions) {
      if (ranges.some(([start, end]) => start < region.end && end > region.start)) region.isDecided = true;
    }
    this.#tell();
    this.#keep();
  }
}

const [store, keeps] = await Store.open().then(
  (opened) => [opened, true],
  () => [new MemoryStore(), false],
);
await new Adjudication(store, keeps).start();
