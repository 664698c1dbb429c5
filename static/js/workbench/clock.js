/** How long the work took: by text, and by decision. */

const LONGEST_PAUSE_MS = 60_000;

export class WorkClock {
  #last;
  #isAway = false;

  /** `now` tells the time in milliseconds. */
  constructor(now = () => performance.now()) {
    this.now = now;
    this.#last = now();
    this.milliseconds = 0;
    this.spent = {};
  }

  /** Count the time since the last moment of work; long pauses count as one minute, hidden pages not at all. */
  pass() {
    const now = this.now();
    const passed = this.#isAway ? 0 : Math.min(now - this.#last, LONGEST_PAUSE_MS);
    this.#last = now;
    this.milliseconds += passed;
    return passed;
  }

  /** The page is hidden, or seen again. */
  setAway(isAway) {
    this.pass();
    this.#isAway = isAway;
  }

  /** The time since the last moment of work went into these decisions, a share into each. */
  spend(names) {
    const share = this.pass() / names.length;
    for (const name of names) this.spent[name] = (this.spent[name] ?? 0) + share;
  }

  /** Milliseconds by decision. */
  get decisions() {
    return Object.fromEntries(Object.entries(this.spent).map(([name, ms]) => [name, Math.round(ms)]));
  }
}
