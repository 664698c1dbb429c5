/** Talking to the server: the person's session, CSRF checked, problems as RFC 9457 says. */

import { t } from "../i18n.js";

/** The server answered with a problem. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? t("The server answered {status}.", { status }));
    this.status = status;
    this.code = body.code ?? "";
    this.body = body;
  }
}

/** There was no answer: no network, or no server. */
export class Unreachable extends Error {}

const PATIENCE_MS = 15_000;

export class Api {
  constructor({ base, csrfCookie, user }) {
    this.base = base;
    this.csrfCookie = csrfCookie;
    this.user = user;
  }

  next(besides) {
    return this.#call("POST", "next", { besides });
  }

  queue() {
    return this.#call("GET", "queue");
  }

  /** Where else a decision on these words would change something. */
  occurrences(surface, label, task) {
    return this.#call("GET", `occurrences?${new URLSearchParams({ surface, label, task })}`);
  }

  task(id) {
    return this.#call("GET", `tasks/${id}`);
  }

  renew(id) {
    return this.#call("POST", `tasks/${id}/renew`, {});
  }

  /** Give a text back, undecided. */
  release(id) {
    return this.#call("POST", `tasks/${id}/release`, {});
  }

  /** Settle a comment, or open it again. */
  resolve(comment, resolved) {
    return this.#call("POST", `comments/${comment}/resolve`, { resolved });
  }

  /** What the outbox sends: `verb` is submit, skip or comment. */
  close(id, verb, body) {
    return this.#call("POST", `tasks/${id}/${verb}`, body);
  }

  async #call(method, path, body) {
    let response;
    try {
      response = await fetch(this.base + path, {
        method,
        headers: {
          Accept: "application/json",
          // Somebody else may have signed in in another tab: then the server refuses, and nothing is theirs.
          "X-Reviewer": String(this.user.id),
          ...(body && { "Content-Type": "application/json", "X-CSRFToken": this.#csrfToken() }),
        },
        body: body && JSON.stringify(body),
        redirect: "error",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch {
      throw new Unreachable(t("The server cannot be reached."));
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Problem(response.status, answer);
    return answer;
  }

  /** Read each time: signing in again, in another tab, changes it. */
  #csrfToken() {
    const start = `${this.csrfCookie}=`;
    const found = document.cookie.split("; ").find((cookie) => cookie.startsWith(start));
    return found ? decodeURIComponent(found.slice(start.length)) : "";
  }
}
