/**
 * Nothing that the reviewer decided is lost. A decision is written to this browser's IndexedDB before the next
 * text is shown, and leaves it when the server has acknowledged it. Each carries an idempotency key, so sending
 * it again stores it once. Work in progress is kept as a draft in the same way.
 */

import { Problem } from "./api.js";

const NAME = "nerapp-review";
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
const SIGNED_OUT = new Set(["unauthenticated", "session_changed", "other_person"]);

/** The two stores of this browser: decisions on their way, and drafts. */
export class Store {
  static async open() {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("outbox", { keyPath: "key" });
      request.result.createObjectStore("drafts", { keyPath: "id" });
    };
    return new Store(await done(request));
  }

  constructor(database) {
    this.database = database;
  }

  async all(store) {
    return done(this.database.transaction(store).objectStore(store).getAll());
  }

  async get(store, key) {
    return done(this.database.transaction(store).objectStore(store).get(key));
  }

  async put(store, value) {
    await this.#write(store, (objects) => objects.put(value));
  }

  async delete(store, key) {
    await this.#write(store, (objects) => objects.delete(key));
  }

  #write(store, act) {
    // Strict: the promise means that it is on the disk, not in a buffer that a crash empties.
    const transaction = this.database.transaction(store, "readwrite", { durability: "strict" });
    act(transaction.objectStore(store));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }
}

/** For a browser that offers no IndexedDB (some private windows): kept while the page lives, and said so. */
export class MemoryStore {
  #stores = { outbox: new Map(), drafts: new Map() };

  async all(store) {
    return [...this.#stores[store].values()];
  }

  async get(store, key) {
    return this.#stores[store].get(key);
  }

  async put(store, value) {
    this.#stores[store].set(value.key ?? value.id, value);
  }

  async delete(store, key) {
    this.#stores[store].delete(key);
  }
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * Decisions on their way to the server.
 *
 * Events: `change` (what is kept here, or the connection, changed), `sent` (acknowledged: {entry, answer}),
 * `stuck` (needs the reviewer: {entry}).
 */
export class Outbox extends EventTarget {
  #store;
  #api;
  #wait = FIRST_WAIT_MS;
  #timer = null;
  #busy = null;

  constructor(store, api) {
    super();
    this.#store = store;
    this.#api = api;
    this.entries = [];
    this.connection = navigator.onLine ? "online" : "offline";
    addEventListener("online", () => {
      if (this.connection === "offline") this.#connection("online");
      this.flush();
    });
    addEventListener("offline", () => this.#connection("offline"));
    addEventListener("focus", () => this.flush());
  }

  /** Load what an earlier page left here, and try to send it. */
  async start() {
    const kept = await this.#store.all("outbox");
    this.entries = kept
      .filter((entry) => entry.base === this.#api.base && entry.user === this.#api.user.id)
      .sort((a, b) => a.at - b.at);
    this.#changed();
    for (const entry of this.entries) if (entry.state === "stuck") this.#emit("stuck", { entry });
    this.flush();
  }

  /** Keep a decision; resolves once it is safe in this browser. */
  async add({ task, name, verb, body }) {
    const entry = {
      key: body.idempotency_key ?? `${verb}:${task}`,
      base: this.#api.base,
      user: this.#api.user.id,
      task,
      name,
      verb,
      body,
      at: Date.now(),
      state: "waiting",
    };
    await this.#store.put("outbox", entry);
    this.entries.push(entry);
    this.#changed();
    this.flush();
    return entry;
  }

  /** Tasks that are decided here and not yet known to the server. */
  get tasks() {
    return this.entries.filter((entry) => entry.verb !== "comment").map((entry) => entry.task);
  }

  get waiting() {
    return this.entries.filter((entry) => entry.state === "waiting");
  }

  get stuck() {
    return this.entries.filter((entry) => entry.state === "stuck");
  }

  async drop(entry) {
    await this.#store.delete("outbox", entry.key);
    this.entries = this.entries.filter((other) => other !== entry);
    this.#changed();
  }

  /** Try again what was refused. */
  async retry(entry) {
    Object.assign(entry, { state: "waiting", problem: null });
    await this.#store.put("outbox", entry);
    return this.flush();
  }

  /** Send everything that waits, oldest first; one page of this browser at a time. */
  flush() {
    clearTimeout(this.#timer);
    this.#busy ??= this.#locked(() => this.#sendAll()).finally(() => {
      this.#busy = null;
    });
    return this.#busy;
  }

  async #locked(act) {
    return navigator.locks ? navigator.locks.request("nerapp-outbox", act) : act();
  }

  async #sendAll() {
    while (this.waiting.length) {
      const entry = this.waiting[0];
      if (!(await this.#send(entry))) return;
    }
  }

  /** Send one decision. False when it is of no use to go on now. */
  async #send(entry) {
    try {
      const answer = await this.#api.close(entry.task, entry.verb, entry.body);
      this.#wait = FIRST_WAIT_MS;
      this.#connection("online");
      await this.drop(entry);
      this.#emit("sent", { entry, answer });
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) return this.#later("offline");
      if (error.status >= 500 || error.status === 429) return this.#later("server");
      if (SIGNED_OUT.has(error.code)) return this.#later("signed-out");
      Object.assign(entry, { state: "stuck", problem: { ...error.body, status: error.status, detail: error.message } });
      await this.#store.put("outbox", entry);
      this.#changed();
      this.#emit("stuck", { entry });
      return true;
    }
  }

  #later(connection) {
    this.#connection(connection);
    this.#timer = setTimeout(() => this.flush(), this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
    return false;
  }

  #connection(state) {
    if (this.connection === state) return;
    this.connection = state;
    this.#changed();
  }

  #changed() {
    this.#emit("change", {});
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** 128 random bits; `crypto.randomUUID` is missing on a plain http address of a local network. */
export function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
