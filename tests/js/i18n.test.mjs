import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { n, t, use } from "../../static/js/i18n.js";

const ENGLISH = { language: "en", plural: {}, messages: {} };

beforeEach(() => use(ENGLISH));

test("without a catalog the English text stands, with its values", () => {
  assert.equal(t("{name} has it", { name: "Ana" }), "Ana has it");
  assert.equal(n("1 span", "{count} spans", 1), "1 span");
  assert.equal(n("1 span", "{count} spans", 0), "0 spans");
});

test("a catalog translates, and what it lacks stays English", () => {
  use({ language: "de", plural: { one: 0, other: 1 }, messages: { "{name} has it": "Bei {name}" } });
  assert.equal(t("{name} has it", { name: "Ana" }), "Bei Ana");
  assert.equal(t("Undo"), "Undo");
  assert.equal(n("1 span", "{count} spans", 2), "2 spans");
});

test("plurals follow the language's rules, not those of English", () => {
  use({
    language: "pl",
    plural: { one: 0, few: 1, many: 2, other: 2 },
    messages: { "1 span": ["{count} fragment", "{count} fragmenty", "{count} fragmentów"] },
  });
  const said = [1, 3, 5, 22, 25].map((count) => n("1 span", "{count} spans", count));
  assert.deepEqual(said, ["1 fragment", "3 fragmenty", "5 fragmentów", "22 fragmenty", "25 fragmentów"]);
});

test("a value is text: what looks like a place in it is left alone", () => {
  assert.equal(t("{name} has {what}", { name: "{what}", what: "it" }), "{what} has it");
});

test("a place without a value stays to be seen", () => {
  assert.equal(t("{name} has it"), "{name} has it");
});
