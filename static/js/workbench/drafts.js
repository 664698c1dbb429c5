/** Work in progress, kept in this browser until the text is submitted or skipped. */

export class Drafts {
  #write = Promise.resolve();

  constructor(store, prefix, line) {
    this.store = store;
    this.prefix = prefix;
    this.line = line;
  }

  /** The draft of a task, or undefined. */
  get(task) {
    return this.store.get("drafts", this.#id(task));
  }

  /** Keep the work on a text; one write after the other, and the last line says when it is safe. */
  keep(review) {
    const draft = { id: this.#id(review.task.id), at: Date.now(), ...review.draft };
    this.line.draftBegins();
    this.#write = this.#write
      .then(() => this.store.put("drafts", draft))
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
