/** Decisions that the server refused: kept here, said, and settled by the reviewer. */

import { t } from "../i18n.js";
import { freshKey } from "./outbox.js";

const STALE = 412;
const LOCKED = 423;
const SOON_MS = 5_000;

export class Stuck {
  /** `work` is the workbench: its outbox, its last line, and the text that stands on the page. */
  constructor(work, conflict) {
    this.work = work;
    this.conflict = conflict;
  }

  /** Say what happened to a decision, and what can be done. */
  tell(entry) {
    const { problem } = entry;
    const { line } = this.work;
    if (problem.status === STALE) {
      const words = t("Somebody else saved “{name}” while you worked on it. Your version is kept here.", entry);
      line.notice(entry.key, words, [[t("Compare the two"), () => this.#settle(entry)]]);
      return;
    }
    const actions = [[t("Try again"), () => this.#retry(entry)]];
    if (entry.verb === "submit" && problem.code !== "document_erased") {
      actions.push([t("Open it"), () => this.#open(entry)]);
    }
    actions.push([t("Discard mine"), () => this.#drop(entry)]);
    line.notice(entry.key, t("“{name}” is kept here, not saved: {problem}", { name: entry.name, problem: problem.detail }), actions);
    if (problem.status === LOCKED && problem.until) {
      const free = Date.parse(problem.until) - Date.now();
      setTimeout(() => this.#retry(entry), Math.max(SOON_MS, free + 1_000));
    }
  }

  async #retry(entry) {
    if (entry.state !== "stuck") return;
    this.work.line.clearNotice(entry.key);
    await this.work.outbox.retry(entry);
  }

  async #drop(entry) {
    await this.work.outbox.drop(entry);
    this.work.line.clearNotice(entry.key);
  }

  /** Both versions side by side; the reviewer chooses, and the choice is sent as the next version. */
  async #settle(entry) {
    const { work } = this;
    if (work.isComparing) return;
    const task = await this.#task(entry);
    if (!task) return;
    work.setComparing(true);
    const answer = await this.conflict.ask({ task, mine: entry.body.spans, current: task.current });
    work.setComparing(false);
    if (answer.action === "save") {
      const body = {
        ...entry.body,
        spans: answer.spans,
        base_number: task.current.number,
        idempotency_key: freshKey(),
      };
      await work.outbox.add({ task: entry.task, name: entry.name, verb: "submit", body });
      work.say(t("Saved what you chose."));
    }
    if (answer.action !== "later") await this.#drop(entry);
  }

  /** Back on the page, as a draft, to be mended. */
  async #open(entry) {
    const task = await this.#task(entry);
    if (!task) return;
    await this.work.open(task, entry.body.spans, entry.body.base_number);
    await this.#drop(entry);
  }

  async #task(entry) {
    try {
      return (await this.work.api.task(entry.task)).task;
    } catch (error) {
      this.work.say(error.message);
      return null;
    }
  }
}
