/**
 * The reviewer's work on one text: its spans, what is active, and what can be undone.
 *
 * Spans are frozen objects in UTF-16 offsets. Each change is a list of edits `{id, before, after}`, so undoing
 * is applying it backwards, and a long history of a large text stays small.
 */

import { OffsetIndex } from "./offsets.js";
import { SpanOrder } from "./order.js";

const LONGEST_PAUSE_MS = 60_000;

export class Review extends EventTarget {
  #order;
  #lastMoment = performance.now();
  #nextId = 0;

  constructor(task, { allowOverlap, sure }) {
    super();
    this.task = task;
    this.text = task.text;
    this.allowOverlap = allowOverlap;
    this.sure = sure;
    this.offsets = new OffsetIndex(task.text);
    this.labels = new Map(task.labels.map((label) => [label.name, label]));
    this.spans = new Map();
    this.active = null;
    this.past = [];
    this.future = [];
    this.number = task.number;
    this.spent = {};
    this.milliseconds = 0;
    const given = task.current ?? task.prediction;
    given.spans.forEach((span, index) => {
      const id = `s${index}`;
      this.spans.set(id, this.#fromServer(id, span, task.current === null));
    });
    this.#order = new SpanOrder(this.spans.values());
  }

  #fromServer(id, span, byMachine) {
    const machine = byMachine
      ? { start: span.start, end: span.end, label: span.label, confidence: span.confidence ?? null }
      : null;
    return Object.freeze({
      id,
      start: this.offsets.toUtf16(span.start),
      end: this.offsets.toUtf16(span.end),
      label: span.label,
      state: byMachine ? "suggested" : "human",
      machine,
      alternatives: byMachine ? (span.alternatives ?? []) : [],
    });
  }

  /** The spans in reading order; an enclosing one before what it encloses. Not to be changed. */
  get ordered() {
    return this.#order.all;
  }

  /** The spans that share text with a stretch, in reading order. */
  touching(start, end) {
    return this.#order.touching(start, end);
  }

  get activeSpan() {
    return this.spans.get(this.active) ?? null;
  }

  surface(span) {
    return this.text.slice(span.start, span.end);
  }

  isUnsure(span) {
    return span.state === "suggested" && (span.machine?.confidence ?? 1) < this.sure;
  }

  /** Suggestions that the reviewer has not touched, the least certain first. */
  get undecided() {
    return this.ordered
      .filter((span) => span.state === "suggested")
      .sort((a, b) => (a.machine.confidence ?? 1) - (b.machine.confidence ?? 1));
  }

  // --- What is active ---------------------------------------------------------------------------------

  activate(id) {
    if (this.active === id) return;
    const before = this.activeSpan;
    this.active = this.spans.has(id) ? id : null;
    this.#tell([before, this.activeSpan], false);
  }

  /** The span after or before the active one in reading order. */
  neighbour(direction) {
    const spans = this.ordered;
    if (!spans.length) return null;
    const at = this.active ? this.#order.indexOf(this.activeSpan) : -1;
    if (at < 0) return spans[direction > 0 ? 0 : spans.length - 1];
    return spans[at + direction] ?? null;
  }

  // --- Changes ----------------------------------------------------------------------------------------

  add(start, end, label) {
    const same = this.touching(start, end).find((span) => span.start === start && span.end === end);
    if (same && (!this.allowOverlap || same.label === label)) {
      this.relabel(same.id, label);
      this.activate(same.id);
      return { span: this.spans.get(same.id), replaced: [] };
    }
    const replaced = this.allowOverlap ? [] : this.#inTheWay(start, end, null);
    const id = this.#freshId();
    const span = Object.freeze({ id, start, end, label, state: "human", machine: null, alternatives: [] });
    this.#change([...replaced.map((other) => this.#without(other)), { id, before: null, after: span }], id);
    return { span, replaced };
  }

  /** Not wanted: a suggestion stays visible as rejected until submit, a human's span goes. */
  reject(id) {
    const span = this.spans.get(id);
    if (!span) return;
    if (span.state === "rejected") this.#replace(span, { ...this.#original(span), state: "suggested" });
    else this.#change([this.#without(span)], span.machine ? id : this.#nearest(span));
  }

  accept(id) {
    const span = this.spans.get(id);
    if (!span || (span.state !== "suggested" && span.state !== "rejected")) return;
    const inTheWay = this.allowOverlap ? [] : this.#inTheWay(span.start, span.end, id);
    const edits = inTheWay.map((other) => this.#without(other));
    this.#change([...edits, { id, before: span, after: Object.freeze({ ...span, state: "accepted" }) }], id);
  }

  relabel(id, label) {
    const span = this.spans.get(id);
    if (!span || !this.labels.has(label)) return;
    if (span.label === label) {
      this.accept(id);
      return;
    }
    this.#replace(span, { ...span, label, state: this.#stateOf(span, { ...span, label }) });
  }

  /** Move the edges. Without overlaps allowed they stop at the neighbours. Says whether anything moved. */
  resize(id, start, end, { join = false } = {}) {
    const span = this.spans.get(id);
    if (!span) return false;
    const [low, high] = this.reach(span);
    const [from, to] = [Math.max(low, start), Math.min(high, end)];
    if (from >= to || (from === span.start && to === span.end)) return false;
    const moved = { ...span, start: from, end: to };
    this.#replace(span, { ...moved, state: this.#stateOf(span, moved) }, join);
    return true;
  }

  /** How far the edges of a span may go: to its neighbours, or to the ends of the text. */
  reach(span) {
    let [low, high] = [0, this.text.length];
    if (this.allowOverlap) return [low, high];
    for (const other of this.ordered) {
      if (other.id === span.id || other.state === "rejected") continue;
      if (other.end <= span.start) low = Math.max(low, other.end);
      if (other.start >= span.end) high = Math.min(high, other.start);
    }
    return [low, high];
  }

  /** Put a chosen set of spans in the place of all others: what a merge decided. */
  replaceAll(spans, number) {
    this.number = number;
    const edits = [...this.spans.values()].map((span) => ({ id: span.id, before: span, after: null }));
    for (const span of spans) {
      const id = this.#freshId();
      edits.push({ id, before: null, after: this.#fromServer(id, span, false) });
    }
    this.#change(edits, null);
  }

  undo() {
    const change = this.past.pop();
    if (!change) return false;
    this.future.push(change);
    this.#apply(change.edits.map(({ id, before, after }) => ({ id, before: after, after: before })));
    this.#settle(change.edits, "before");
    return true;
  }

  redo() {
    const change = this.future.pop();
    if (!change) return false;
    this.past.push(change);
    this.#apply(change.edits);
    this.#settle(change.edits, "after");
    return true;
  }

  // --- In and out -------------------------------------------------------------------------------------

  /** The spans that a submit stands for, in code points. What was not rejected is agreed with. */
  get result() {
    return this.ordered
      .filter((span) => span.state !== "rejected")
      .map((span) => ({
        start: this.offsets.toCodePoint(span.start),
        end: this.offsets.toCodePoint(span.end),
        label: span.label,
        text: this.surface(span),
      }));
  }

  /** Milliseconds by span, under the names that the server knows them by. */
  get decisions() {
    const result = {};
    for (const [name, ms] of Object.entries(this.spent)) result[name] = Math.round(ms);
    return result;
  }

  /** Everything that must survive a reload. */
  get draft() {
    return {
      number: this.number,
      spans: [...this.spans.values()],
      past: this.past,
      future: this.future,
      active: this.active,
      spent: this.spent,
      milliseconds: Math.round(this.milliseconds),
    };
  }

  restore(draft) {
    this.number = draft.number;
    this.spans = new Map(draft.spans.map((span) => [span.id, Object.freeze(span)]));
    this.past = draft.past;
    this.future = draft.future;
    this.active = this.spans.has(draft.active) ? draft.active : null;
    this.spent = draft.spent;
    this.milliseconds = draft.milliseconds;
    this.#order = new SpanOrder(this.spans.values());
  }

  get isTouched() {
    return this.past.length > 0;
  }

  /** Count the time since the last moment of work; long pauses count as one minute. */
  passTime() {
    const now = performance.now();
    const passed = Math.min(now - this.#lastMoment, LONGEST_PAUSE_MS);
    this.#lastMoment = now;
    this.milliseconds += passed;
    return passed;
  }

  // --- Inside -----------------------------------------------------------------------------------------

  #freshId() {
    do this.#nextId += 1;
    while (this.spans.has(`h${this.#nextId}`));
    return `h${this.#nextId}`;
  }

  #without(span) {
    const after = span.machine ? Object.freeze({ ...this.#original(span), state: "rejected" }) : null;
    return { id: span.id, before: span, after };
  }

  #original(span) {
    if (!span.machine) return span;
    const { start, end, label } = span.machine;
    return { ...span, start: this.offsets.toUtf16(start), end: this.offsets.toUtf16(end), label };
  }

  #stateOf(span, changed) {
    if (!span.machine) return "human";
    const original = this.#original(span);
    const same =
      original.start === changed.start && original.end === changed.end && original.label === changed.label;
    return same ? "accepted" : "changed";
  }

  #inTheWay(start, end, except) {
    return this.touching(start, end).filter((span) => span.id !== except && span.state !== "rejected");
  }

  #nearest(gone) {
    const others = this.ordered.filter((span) => span.id !== gone.id);
    return (others.find((span) => span.start >= gone.start) ?? others.at(-1))?.id ?? null;
  }

  #replace(span, after, join = false) {
    this.#change([{ id: span.id, before: span, after: Object.freeze(after) }], span.id, join);
  }

  #change(edits, active, join = false) {
    const last = this.past.at(-1);
    if (join && last?.open && last.edits.length === 1 && last.edits[0].id === edits[0].id) {
      last.edits[0].after = edits[0].after;
    } else {
      this.past.push({ edits, open: join });
    }
    this.future = [];
    this.active = active;
    this.#clock(edits);
    this.#apply(edits);
  }

  /** The next move of an edge is an undo step of its own. */
  closeStep() {
    const last = this.past.at(-1);
    if (last) last.open = false;
  }

  #apply(edits) {
    for (const { id, after } of edits) {
      const before = this.spans.get(id);
      if (before) this.#order.remove(before);
      if (after) this.spans.set(id, after);
      else this.spans.delete(id);
      if (after) this.#order.insert(after);
    }
    this.#tell(edits.flatMap(({ before, after }) => [before, after]), true);
  }

  #settle(edits, side) {
    const back = edits.findLast((edit) => edit[side] !== null);
    this.active = back ? back.id : null;
    this.#tell([this.activeSpan], true);
  }

  #clock(edits) {
    const passed = this.passTime();
    const span = edits.at(-1).after ?? edits.at(-1).before;
    const { start, end, label } = span.machine ?? {
      start: this.offsets.toCodePoint(span.start),
      end: this.offsets.toCodePoint(span.end),
      label: span.label,
    };
    const name = `${start}:${end}:${label}`;
    this.spent[name] = (this.spent[name] ?? 0) + passed;
  }

  #tell(spans, changed) {
    const ranges = spans.filter(Boolean).map(({ start, end }) => [start, end]);
    this.dispatchEvent(new CustomEvent("paint", { detail: { ranges, changed } }));
  }
}
