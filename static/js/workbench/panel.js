/** The edges of the page: the span inspector, the labels, the list of spans, the queue. */

import { n, t } from "../i18n.js";
import { labelTag, make, percent, phrase } from "./dom.js";
import { keyText } from "./keymap.js";
import { SpanList } from "./list.js";
import { stateWords } from "./render.js";
import { isOpen } from "./state.js";

/** What the model calls no entity at all. */
const OUTSIDE = "O";
const LEAST_LIKELY = 0.01;

export class Panel {
  #review = null;

  constructor({ actions, keyboard }) {
    this.actions = actions;
    this.keyboard = keyboard;
    this.inspector = document.getElementById("inspector");
    this.labels = document.getElementById("labels");
    this.guideline = document.getElementById("guideline");
    this.list = new SpanList(document.getElementById("span-list"), (id) => actions.choose(id));
  }

  use(review, armed) {
    this.#review = review;
    this.list.use(review);
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
    this.list.paint();
  }

  #paintGuideline(name) {
    const label = this.#review.labels.get(name);
    const text = label?.guideline || label?.description || "";
    this.guideline.replaceChildren(
      ...(text ? [make("h2", {}, ...phrase(t("{label} means"), { label: labelTag(label) })), make("p", {}, text)] : []),
    );
  }

  #overview(armed) {
    const review = this.#review;
    const unsure = review.ordered.filter((span) => review.isUnsure(span)).length;
    const words = [
      review.spans.size ? n("1 span", "{count} spans", review.spans.size) : t("No span yet"),
      ...(unsure ? [n("1 unsure", "{count} unsure", unsure)] : []),
    ];
    const label = review.labels.get(armed);
    return [
      make("p", { class: "inspector-lead" }, words.join(", ")),
      make(
        "p",
        { class: "quiet" },
        ...phrase(t("Drag over text, or go there with {key}, to mark it as {label}."), {
          key: make("kbd", {}, keyText(this.keyboard.keyOf("toggleCaret"))),
          label: label ? labelTag(label) : armed,
        }),
      ),
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
        make("span", { class: `state ${stateClass(span)}` }, stateWords(span)),
      ),
    ];
    if (machine) rows.push(this.#machine(span, sure));
    if (span.alternatives.length && span.state !== "rejected") rows.push(this.#alternatives(span));
    const accept = this.#button("accept", t("Accept"), true);
    accept.disabled = !(isOpen(span) || span.state === "rejected");
    const unwanted = span.state === "rejected" ? t("Take back") : machine ? t("Reject") : t("Remove");
    rows.push(
      make(
        "div",
        { class: "actions" },
        accept,
        this.#button("reject", unwanted, true),
        this.#button("menu", t("Label…"), true),
        this.#button("equal", t("All equal…"), true),
      ),
      make(
        "div",
        { class: "edges" },
        make("span", { class: "quiet" }, t("Start")),
        this.#arrows(["startLeft", t("Start to the left")], ["startRight", t("Start to the right")]),
        make("span", { class: "mono quiet" }, `${from}–${to}`),
        make("span", { class: "quiet" }, t("End")),
        this.#arrows(["endLeft", t("End to the left")], ["endRight", t("End to the right")]),
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
    const version = make("span", { class: "mono" }, review.task.prediction.version);
    const tag = labelTag(review.labels.get(label) ?? { name: label, hue: 0, pattern: 0 });
    const said = same ? [version] : phrase(t("{version} said {label} {start}–{end}"), { version, label: tag, start, end });
    const doubt = sure === null ? "" : `, ${t("{percent} sure", { percent: percent(sure) })}`;
    return make("p", { class: "quiet" }, ...said, doubt);
  }

  #alternatives(span) {
    const likely = span.alternatives.filter(({ probability }) => probability >= LEAST_LIKELY);
    const rows = likely.map(({ label, probability }) => {
      const known = this.#review.labels.get(label);
      if (!known && label !== OUTSIDE) return null;
      const button = make(
        "button",
        { type: "button", class: "alternative" },
        known ? labelTag(known) : t("nothing"),
        make("span", { class: "number quiet" }, percent(probability)),
      );
      const act = known ? () => this.actions.label(label) : () => this.actions.reject();
      button.addEventListener("click", act);
      return button;
    });
    if (!rows.some(Boolean)) return null;
    return make("div", { class: "alternatives" }, make("span", { class: "quiet" }, t("or")), ...rows);
  }

  /** Left is left, whichever way the page and the text are read. */
  #arrows([left, leftName], [right, rightName]) {
    return make("span", { class: "arrows", dir: "ltr" }, this.#button(left, "◂", false, leftName), this.#button(right, "▸", false, rightName));
  }

  #button(action, text, hasKey, name = null) {
    const button = make(
      "button",
      { type: "button", class: "button", "aria-label": name, title: name, "data-action": action },
      text,
      hasKey ? make("kbd", {}, keyText(this.keyboard.keyOf(action))) : null,
    );
    button.addEventListener("click", () => this.actions[action](false));
    return button;
  }
}

function stateClass(span) {
  return { accepted: "good", changed: "good", human: "good", rejected: "bad" }[span.state] ?? "";
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
            row.holder ? `${row.reason} · ${t("{name} has it", { name: row.holder })}` : row.reason,
          ),
        ),
      ),
    ),
  );
}
