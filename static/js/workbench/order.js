/**
 * Spans in reading order; an enclosing one before what it encloses. Kept sorted by each change, so that one span
 * more among thousands costs a search and no sorting.
 */

export function byPlace(a, b) {
  return a.start - b.start || b.end - a.end || (a.label < b.label ? -1 : Number(a.label > b.label)) || (a.id < b.id ? -1 : 1);
}

export class SpanOrder {
  #spans = [];
  #longest = 0;

  constructor(spans) {
    this.#spans = [...spans].sort(byPlace);
    for (const span of this.#spans) this.#measure(span);
  }

  /** All spans. Read only. */
  get all() {
    return this.#spans;
  }

  insert(span) {
    this.#spans.splice(this.#rank(span), 0, span);
    this.#measure(span);
  }

  remove(span) {
    const at = this.indexOf(span);
    if (at >= 0) this.#spans.splice(at, 1);
  }

  indexOf(span) {
    const at = this.#rank(span);
    return this.#spans[at]?.id === span.id ? at : -1;
  }

  /** The spans that share text with a stretch, in order. */
  touching(start, end) {
    const found = [];
    // No span is longer than the longest: whoever starts earlier has ended before.
    for (let at = this.#firstFrom(start - this.#longest); at < this.#spans.length; at += 1) {
      const span = this.#spans[at];
      if (span.start >= end) break;
      if (span.end > start) found.push(span);
    }
    return found;
  }

  #measure(span) {
    this.#longest = Math.max(this.#longest, span.end - span.start);
  }

  #firstFrom(start) {
    return search(this.#spans.length, (at) => this.#spans[at].start >= start);
  }

  #rank(span) {
    return search(this.#spans.length, (at) => this.#spans[at].id === span.id || byPlace(this.#spans[at], span) >= 0);
  }
}

/** The first number below the limit for which it holds; it holds for all after that one. */
export function search(limit, holds) {
  let low = 0;
  let high = limit;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
