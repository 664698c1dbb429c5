/** The edges of the page: the span inspector, the labels, the list of spans, the queue. */

import { labelTag, make, percent } from "./dom.js";

/** What the model calls no entity at all. */
const OUTSIDE = "O";
const LEAST_LIKELY = 0.01;

const STATES = {
  suggested: "suggested by the model",
  accepted: "accepted",
  rejected: "rejected",
  changed: "changed by you",
  human: "marked by a person",
};

export class Panel {
  #review = null;

  constructor({ actions, version }) {
    this.actions = actions;
    this.version = version;
    this.inspector = document.getElementById("inspector");
    this.labels = document.getElementById("labels");
    this.guideline = document.getElementById("guideline");
    this.list = document.getElementById("span-list");
    this.listCount = document.getElementById("span-count");
    this.list.addEventListener("toggle", () => this.#paintList());
  }

  use(review, armed) {
    this.#review = review;
    this.labels.replaceChildren(
      ...review.task.labels.map((label) => {
        const button = make(
          "button",
          { type: "button", class: "label-chip", "data-label": label.name, title: label.description || null },
          labelTag(label),
          make("span", { class: "label-title" }, label.title === label.name ? "" : label.title),
          label.hotkey ? make("kbd", {}, label.hotkey) : null,
        );
        button.addEventListener("click", () => this.actions.label(label.name));
        return button;
      }),
    );
    this.paint(armed);
  }

  paint(armed) {
    const review = this.#review;
    const span = review.activeSpan;
    const shown = span?.label ?? armed;
    for (const button of this.labels.children) {
      button.setAttribute("aria-pressed", String(button.dataset.label === shown));
    }
    this.#paintGuideline(shown);
    this.inspector.replaceChildren(...(span ? this.#span(span) : this.#overview(armed)));
    const unsure = review.ordered.filter((other) => review.isUnsure(other)).length;
    this.listCount.textContent = `${review.spans.size}${unsure ? `, ${unsure} unsure` : ""}`;
    if (this.list.open) this.#paintList();
  }

  #paintGuideline(name) {
    const label = this.#review.labels.get(name);
    const text = label?.guideline || label?.description || "";
    this.guideline.replaceChildren(
      ...(text ? [make("h2", {}, labelTag(label), " means"), make("p", {}, text)] : []),
    );
  }

  #overview(armed) {
    const review = this.#review;
    const unsure = review.ordered.filter((span) => review.isUnsure(span)).length;
    const words = review.spans.size
      ? `${count(review.spans.size, "span")}${unsure ? `, ${unsure} unsure` : ""}.`
      : "No span yet.";
    const label = review.labels.get(armed);
    return [
      make("p", { class: "inspector-lead" }, words),
      make("p", { class: "quiet" }, "Drag over text to mark it as ", label ? labelTag(label) : armed, "."),
    ];
  }

  #span(span) {
    const review = this.#review;
    const label = review.labels.get(span.label);
    const from = review.offsets.toCodePoint(span.start);
    const to = review.offsets.toCodePoint(span.end);
    const machine = span.machine;
    const sure = machine?.confidence ?? null;
    const rows = [
      make("p", { class: "surface" }, make("bdi", {}, review.surface(span))),
      make(
        "p",
        { class: "inspector-state" },
        label ? labelTag(label) : span.label,
        " ",
        make("span", { class: `state ${stateClass(span)}` }, STATES[span.state]),
      ),
    ];
    if (machine) rows.push(this.#machine(span, sure));
    if (span.alternatives.length && span.state !== "rejected") rows.push(this.#alternatives(span));
    const accept = this.#button("accept", "Accept", "a");
    accept.disabled = !["suggested", "rejected"].includes(span.state);
    const unwanted = span.state === "rejected" ? "Take back" : machine ? "Reject" : "Remove";
    rows.push(
      make("div", { class: "actions" }, accept, this.#button("reject", unwanted, "x")),
      make(
        "div",
        { class: "edges" },
        make("span", { class: "quiet" }, "Start"),
        this.#button("startLeft", "◂", null, "Start back"),
        this.#button("startRight", "▸", null, "Start forward"),
        make("span", { class: "mono quiet" }, `${from}–${to}`),
        make("span", { class: "quiet" }, "End"),
        this.#button("endLeft", "◂", null, "End back"),
        this.#button("endRight", "▸", null, "End forward"),
      ),
    );
    return rows.filter(Boolean);
  }

  #machine(span, sure) {
    const review = this.#review;
    const { start, end, label } = span.machine;
    const same =
      label === span.label &&
      review.offsets.toUtf16(start) === span.start &&
      review.offsets.toUtf16(end) === span.end;
    const said = same ? [] : [" said ", labelTag(review.labels.get(label) ?? { name: label, hue: 0, pattern: 0 }), ` ${start}–${end}`];
    const doubt = sure === null ? "" : `, ${percent(sure)} sure`;
    return make("p", { class: "quiet" }, make("span", { class: "mono" }, this.version), ...said, doubt);
  }

  #alternatives(span) {
    const likely = span.alternatives.filter(({ probability }) => probability >= LEAST_LIKELY);
    const rows = likely.map(({ label, probability }) => {
      const known = this.#review.labels.get(label);
      if (!known && label !== OUTSIDE) return null;
      const button = make(
        "button",
        { type: "button", class: "alternative" },
        known ? labelTag(known) : "nothing",
        make("span", { class: "number quiet" }, percent(probability)),
      );
      const act = known ? () => this.actions.label(label) : () => this.actions.reject();
      button.addEventListener("click", act);
      return button;
    });
    if (!rows.some(Boolean)) return null;
    return make("div", { class: "alternatives" }, make("span", { class: "quiet" }, "or"), ...rows);
  }

  #button(action, text, key, name = null) {
    const button = make(
      "button",
      { type: "button", class: "button", "aria-label": name, title: name, "data-action": action },
      text,
      key ? make("kbd", {}, key) : null,
    );
    button.addEventListener("click", () => this.actions[action](false));
    return button;
  }

  #paintList() {
    if (!this.list.open) return;
    const review = this.#review;
    const items = review.ordered.map((span) => {
      const label = review.labels.get(span.label);
      const button = make(
        "button",
        { type: "button", class: `span-row ${span.state}`, "aria-current": span.id === review.active ? "true" : null },
        make("bdi", {}, review.surface(span)),
        label ? labelTag(label) : span.label,
        make("span", { class: "quiet number" }, span.machine?.confidence != null ? percent(span.machine.confidence) : ""),
      );
      button.addEventListener("click", () => this.actions.choose(span.id));
      return make("li", {}, button);
    });
    this.list.querySelector("ol").replaceChildren(...items);
  }
}

function stateClass(span) {
  return { accepted: "good", changed: "good", human: "good", rejected: "bad", suggested: "" }[span.state];
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** The queue rail. */
export function paintQueue(list, rows, current, base) {
  list.replaceChildren(
    ...rows.map((row) =>
      make(
        "li",
        {},
        make(
          "a",
          {
            href: `${base}?task=${row.id}`,
            class: "queue-row",
            "aria-current": row.id === current ? "true" : null,
          },
          make("span", { class: "excerpt", dir: "auto" }, row.excerpt),
          make(
            "span",
            { class: `reason ${row.stratum}` },
            row.holder ? `${row.reason} · ${row.holder} has it` : row.reason,
          ),
        ),
      ),
    ),
  );
}
