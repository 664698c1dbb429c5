/** Holding the text: renewed while somebody works on it, and said when it went to another person. */

export class Lease {
  #lastActive = Date.now();

  /** `task()` is the open task on the page or null; `onLost` is called with a task that somebody else holds now. */
  constructor({ api, seconds, task, onLost }) {
    Object.assign(this, { api, seconds, task, onLost });
    const active = () => this.#active();
    for (const name of ["keydown", "pointerdown", "wheel"]) addEventListener(name, active, { passive: true });
    setInterval(() => this.#renewIfActive(), (seconds * 1000) / 3);
  }

  /** Back after a pause longer than the lease: ask at once whether the text is still ours. */
  #active() {
    const wasAway = Date.now() - this.#lastActive > this.seconds * 1000;
    this.#lastActive = Date.now();
    if (wasAway) this.#renew();
  }

  /** A page that merely lies open holds nothing back from the others. */
  #renewIfActive() {
    const isActive = Date.now() - this.#lastActive < this.seconds * 1000;
    if (isActive && document.visibilityState === "visible") this.#renew();
  }

  async #renew() {
    const task = this.task();
    if (!task) return;
    try {
      const { held } = await this.api.renew(task.id);
      if (!held) this.onLost(task);
    } catch {
      // The outbox notices a lost connection when it matters, at the next submit.
    }
  }
}
