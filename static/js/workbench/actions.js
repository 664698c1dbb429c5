/** What a person can do to a text, under the names of keyboard.js. Keys, buttons and menus all come through here. */

import { t } from "../i18n.js";
import { alike, markAll, rejectAll } from "./equal.js";
import { keyText } from "./keymap.js";
import { stepCharacter, stepToken, stepWord } from "./offsets.js";
import { describe } from "./render.js";

export class Actions {
  /** `work` is the workbench. */
  constructor(work) {
    this.work = work;
  }

  get review() {
    return this.work.review;
  }

  get isComparing() {
    return this.work.isComparing;
  }

  // --- Marking and labels -------------------------------------------------------------------------------

  mark(start, end) {
    const { review, work } = this;
    if (!review) return;
    const { span, replaced } = review.add(start, end, work.armed);
    work.pointer.justMarked();
    work.view.reveal(span.id);
    const marked = describe(review, span);
    const gone = replaced.map((other) => review.surface(other)).join(", ");
    if (gone) work.answer(t("Marked {span}, instead of {gone}", { span: marked, gone }));
    else work.say(t("Marked {span}", { span: marked }));
  }

  /** What is selected, by hand or by the caret; null when nothing is. */
  get marked() {
    return this.work.caret.marked ?? this.work.pointer.marked;
  }

  label(name, marked = this.marked) {
    const { review, work } = this;
    if (!review?.labels.has(name)) return;
    work.arm(name);
    if (marked) {
      work.caret.stop();
      getSelection().removeAllRanges();
      this.mark(marked.start, marked.end);
    } else if (review.active) {
      review.relabel(review.active, name);
      work.sayActive();
    }
    work.repaintEdges();
  }

  /** The menu of labels, at the span or at what is selected. False where there is neither. */
  menu() {
    const { review, work, marked } = this;
    if (!review || !(marked || review.active)) return false;
    work.labelMenu.open({
      labels: review.task.labels,
      current: marked ? work.armed : review.activeSpan.label,
      box: work.view.boxOf(marked ?? review.activeSpan),
      onChoice: (name) => this.label(name, marked),
    });
    return true;
  }

  // --- Going about --------------------------------------------------------------------------------------

  choose(id) {
    this.work.caret.stop();
    this.review.activate(id);
    this.work.view.reveal(id);
    this.work.sayActive();
  }

  next() {
    this.#go(1);
  }

  previous() {
    this.#go(-1);
  }

  #go(direction) {
    const { review, work } = this;
    if (!review) return;
    const span = review.neighbour(direction);
    if (span) this.choose(span.id);
    else if (!review.spans.size) work.answer(t("This text has no spans."));
    else work.answer(work.filter.isActive ? t("The filter shows no further span.") : t("No further span."));
  }

  unsure() {
    const span = this.review?.undecided.find((other) => other.id !== this.review.active);
    if (span) this.choose(span.id);
    else this.work.answer(t("No suggestion is left undecided."));
  }

  // --- Deciding -----------------------------------------------------------------------------------------

  accept() {
    this.#onActive((span) => void this.review.accept(span.id));
  }

  reject() {
    this.#onActive((span) => void this.review.reject(span.id), t("removed"));
  }

  remove() {
    const span = this.review?.activeSpan;
    if (span && span.state !== "rejected") this.reject();
  }

  /** Ask whether the decision on the span holds for all equal words, and for how many. */
  equal() {
    this.#onActive((span) => {
      const { review, work } = this;
      const { marks, rejects } = alike(review, span);
      if (!marks.length && !rejects.length) return t("“{words}” stands nowhere else undecided.", { words: review.surface(span) });
      work.bulk.askEqual(span, marks, rejects, {
        mark: () => this.#together(markAll(review, marks, span.label), t("Marked {count} more.", { count: marks.length })),
        reject: () => this.#together(rejectAll(review, rejects), t("Rejected {count} more.", { count: rejects.length })),
      });
      return null;
    });
  }

  /** To the waiting texts that hold the same words, where the offer has found some. */
  elsewhere() {
    const way = document.querySelector("#offer a");
    if (way) way.click();
    else this.work.answer(t("Decide on a name first; where other waiting texts hold it too, this key goes there."));
  }

  /** Ask how sure is sure enough, and accept all that is. */
  above() {
    if (this.review) this.work.bulk.askAbove(this.review, (words) => this.#together(true, words));
  }

  #together(changed, words) {
    this.work.answer(changed ? words : t("Nothing changed."));
    if (this.review.active) this.work.view.reveal(this.review.active);
  }

  // --- Edges --------------------------------------------------------------------------------------------

  endRight(byWord) {
    this.#move("end", 1, byWord ? stepWord : stepCharacter);
  }

  endLeft(byWord) {
    this.#move("end", -1, byWord ? stepWord : stepCharacter);
  }

  startRight(byWord) {
    this.#move("start", 1, byWord ? stepWord : stepCharacter);
  }

  startLeft(byWord) {
    this.#move("start", -1, byWord ? stepWord : stepCharacter);
  }

  endToken() {
    this.#move("end", 1, stepToken, "ltr");
  }

  endTokenBack() {
    this.#move("end", -1, stepToken, "ltr");
  }

  startToken() {
    this.#move("start", 1, stepToken, "ltr");
  }

  startTokenBack() {
    this.#move("start", -1, stepToken, "ltr");
  }

  /** Left and right are meant as they are seen: in a line that runs from right to left, right is back. */
  #move(edge, towards, step, reading = null) {
    this.#onActive((span) => {
      const { review } = this;
      const { text } = review;
      const isLtr = (reading ?? this.work.view.directionAt(span.start)) === "ltr";
      const direction = isLtr ? towards : -towards;
      const isBlank = (place) => /\s/.test(text[edge === "end" ? place - 1 : place] ?? "x");
      let place = step(text, span[edge], direction);
      // Never end on a blank: the next move goes on over it.
      while (isBlank(place) && place > 0 && place < text.length) place = stepCharacter(text, place, direction);
      const [start, end] = edge === "end" ? [span.start, place] : [place, span.end];
      const [low, high] = review.reach(span);
      const fits = low <= start && start < end && end <= high && !isBlank(place);
      return fits && review.resize(span.id, start, end) ? null : this.#whyNoFurther(start < low ? [start, low] : [high, end]);
    });
  }

  #whyNoFurther([start, end]) {
    const { review } = this;
    const other = start < end && review.touching(start, end).find((span) => span.id !== review.active && span.state !== "rejected");
    if (!other) return t("It goes no further.");
    return t("“{words}” is in the way: reject it first, or mark the words anew.", { words: review.surface(other) });
  }

  #onActive(act, gone = "") {
    const { review, work } = this;
    if (!review) return;
    const span = review.activeSpan;
    if (!span) {
      work.answer(t("Choose a span first: {key} goes to the next one.", { key: keyText(work.keyboard.keyOf("next")) }));
      return;
    }
    const surface = review.surface(span);
    const words = act(span);
    const after = review.spans.get(span.id);
    if (words) work.answer(words);
    else work.say(after ? describe(review, after) : `${surface} ${gone}`);
  }

  // --- Back and again -----------------------------------------------------------------------------------

  undo() {
    if (this.review?.undo()) this.work.say(t("Undone."));
    else this.work.answer(t("Nothing to undo."));
    if (this.review?.active) this.work.view.reveal(this.review.active, { focus: false });
  }

  redo() {
    if (this.review?.redo()) this.work.say(t("Done again."));
    else this.work.answer(t("Nothing to do again."));
    if (this.review?.active) this.work.view.reveal(this.review.active, { focus: false });
  }

  // --- The rest of the page -----------------------------------------------------------------------------

  toggleCaret() {
    this.work.toggleCaret();
  }

  submit() {
    this.work.submit();
  }

  later() {
    this.work.later();
  }

  skip() {
    this.work.skip();
  }

  filter() {
    this.work.openFilter();
  }

  comment() {
    this.work.comments.write();
  }

  leave() {
    this.work.leave();
  }

  help() {
    document.getElementById("help").togglePopover();
  }
}
