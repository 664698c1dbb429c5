/**
 * The reviewer's work on one text: its spans, what is active, and what can be undone.
 *
 * Spans are frozen objects in UTF-16 offsets. Each change is a list of edits `{id, before, after}`, so undoing
 * is applying it backwards, and a long history of a large text stays small.
 */

import { WorkClock } from "./clock.js";
import { OffsetIndex } from "./offsets.js";
import { SpanOrder } from "./order.js";

/** Proposed, by the model or from another text, and not decided yet. */
export function isOpen(span) {
  return span.state === "suggested" || span.state === "propagated";
}

export class Review extends EventTarget {
  #order;
  #nextId = 0;
  #batch = null;

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
    this.clock = new WorkClock();
    /** Which spans the filter lets through; all of them without one. */
    this.isShown = () => true;
    const given = task.current ?? task.prediction;
    given.spans.forEach((span, index) => {
      const id = `s${index}`;
      this.spans.set(id, this.#fromServer(id, span, task.current === null ? "suggested" : "human"));
    });
    (task.propagated ?? []).forEach((span, index) => {
      const id = `p${index}`;
      if (span.label) this.spans.set(id, this.#fromServer(id, span, "propagated"));
      else this.#beginRejected(this.offsets.toUtf16(span.start), this.offsets.toUtf16(span.end));
    });
    this.#order = new SpanOrder(this.spans.values());
  }

  /** "Not an entity" elsewhere: the model's span there begins as rejected, and can be taken back. */
  #beginRejected(start, end) {
    for (const [id, span] of this.spans) {
      if (span.state === "suggested" && span.start === start && span.end === end) {
        this.spans.set(id, Object.freeze({ ...span, state: "rejected" }));
      }
    }
  }

  /** `state`: suggested by the model, propagated from another text's decision, or a human's. */
  #fromServer(id, span, state) {
    const machine =
      state === "human"
        ? null
        : { start: span.start, end: span.end, label: span.label, confidence: span.confidence ?? null, first: state };
    return Object.freeze({
      id,
      start: this.offsets.toUtf16(span.start),
      end: this.offsets.toUtf16(span.end),
      label: span.label,
      state,
      machine,
      alternatives: state === "suggested" ? (span.alternatives ?? []) : [],
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
    return isOpen(span) && (span.machine?.confidence ?? 1) < this.sure;
  }

  /** Suggestions that the reviewer has not touched, the least certain first. */
  get undecided() {
    return this.ordered
      .filter((span) => isOpen(span) && this.isShown(span))
      .sort((a, b) => (a.machine.confidence ?? 1) - (b.machine.confidence ?? 1));
  }

  // --- What is active ---------------------------------------------------------------------------------

  activate(id) {
    if (this.active === id) return;
    const before = this.activeSpan;
    this.active = this.spans.has(id) ? id : null;
    this.#tell([before, this.activeSpan], false);
  }

  /** The span after or before the active one in reading order, among those that the filter lets through. */
  neighbour(direction) {
    const spans = this.ordered;
    const active = this.active ? this.#order.indexOf(this.activeSpan) : -1;
    let at = active >= 0 ? active + direction : direction > 0 ? 0 : spans.length - 1;
    while (spans[at] && !this.isShown(spans[at])) at += direction;
    return spans[at] ?? null;
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
    if (span.state === "rejected") this.#replace(span, { ...this.#original(span), state: span.machine.first ?? "suggested" });
    else this.#change([this.#without(span)], span.machine ? id : this.#nearest(span));
  }

  accept(id) {
    const span = this.spans.get(id);
    if (!span || !(isOpen(span) || span.state === "rejected")) return;
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

  /** Several changes as one step, painted once. Says whether anything changed. */
  together(act) {
    this.#batch = new Map();
    const { active } = this;
    act();
    const edits = [...this.#batch.values()].filter(({ before, after }) => before !== after);
    this.#batch = null;
    if (!edits.length) return false;
    this.past.push({ edits, open: false });
    this.future = [];
    this.active = this.spans.has(active) ? active : null;
    this.#clock(edits);
    this.#tell(edits.flatMap(({ before, after }) => [before, after]), true);
    return true;
  }

  /** Put a chosen set of spans in the place of all others: what a merge decided. */
  replaceAll(spans, number) {
    this.number = number;
    const edits = [...this.spans.values()].map((span) => ({ id: span.id, before: span, after: null }));
    for (const span of spans) {
      const id = this.#freshId();
      edits.push({ id, before: null, after: this.#fromServer(id, span, "human") });
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

  /** Everything that must survive a reload. */
  get draft() {
    return {
      number: this.number,
      spans: [...this.spans.values()],
      past: this.past,
      future: this.future,
      active: this.active,
      spent: this.clock.spent,
      milliseconds: Math.round(this.clock.milliseconds),
    };
  }

  restore(draft) {
    this.number = draft.number;
    this.spans = new Map(draft.spans.map((span) => [span.id, Object.freeze(span)]));
    this.past = draft.past;
    this.future = draft.future;
    this.active = this.spans.has(draft.active) ? draft.active : null;
    Object.assign(this.clock, { spent: draft.spent, milliseconds: draft.milliseconds });
    this.#order = new SpanOrder(this.spans.values());
  }

  get isTouched() {
    return this.past.length > 0;
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
    if (this.#batch) {
      this.#collect(edits);
      return;
    }
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
    this.#tell(edits.flatMap(({ before, after }) => [before, after]), true);
  }

  #collect(edits) {
    for (const { id, before, after } of edits) {
      const first = this.#batch.get(id);
      this.#batch.set(id, { id, before: first ? first.before : before, after });
    }
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
  }

  #settle(edits, side) {
    const was = this.activeSpan;
    const back = edits.findLast((edit) => edit[side] !== null);
    this.active = back ? back.id : null;
    this.#tell([was, this.activeSpan, ...edits.flatMap(({ before, after }) => [before, after])], true);
  }

  #clock(edits) {
    this.clock.spend(edits.map(({ before, after }) => this.#nameForServer(after ?? before)));
  }

  /** A decision is known to the server by what the machine had said, else by what is there now. */
  #nameForServer(span) {
    const { start, end, label } = span.machine ?? {
      start: this.offsets.toCodePoint(span.start),
      end: this.offsets.toCodePoint(span.end),
      label: span.label,
    };
    return `${start}:${end}:${label}`;
  }

  #tell(spans, changed) {
    const ranges = spans.filter(Boolean).map(({ start, end }) => [start, end]);
    this.dispatchEvent(new CustomEvent("paint", { detail: { ranges, changed } }));
  }
}
