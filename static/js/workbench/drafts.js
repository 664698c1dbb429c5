/** Work in progress, kept in this browser until the text is submitted or skipped. */

const LONGEST_FRAME_MS = 100;

export class Drafts {
  #write = Promise.resolve();
  /** Reviews whose next write has not begun: it will hold what they become until then. */
  #due = new Set();

  constructor(store, prefix, line) {
    this.store = store;
    this.prefix = prefix;
    this.line = line;
  }

  /** The draft of a task, or undefined. */
  get(task) {
    return this.store.get("drafts", this.#id(task));
  }

  /**
   * Keep the work on a text, as it then is; one write after the other, and the last line says when it is safe.
   * A write copies every span, so the frame that shows the change comes first.
   */
  keep(review) {
    if (this.#due.has(review)) return this.#write;
    this.#due.add(review);
    this.line.draftBegins();
    this.#write = this.#write
      .then(frameShown)
      .then(() => {
        this.#due.delete(review);
        return this.store.put("drafts", { id: this.#id(review.task.id), at: Date.now(), ...review.draft });
      })
      .catch(() => this.line.draftsEnd())
      .finally(() => this.line.draftEnds());
    return this.#write;
  }

  async drop(task) {
    this.#write = this.#write.then(() => this.store.delete("drafts", this.#id(task)));
    await this.#write;
  }

  #id(task) {
    return `${this.prefix}:${task}`;
  }
}

/** After the next frame; a page that nobody sees has none. */
function frameShown() {
  return new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done));
    setTimeout(done, LONGEST_FRAME_MS);
  });
}
