// The words of the page's language. The English text is the key, so a module reads as its page does:
//
//   t("Nothing to save")                              t("{name} has it", { name })
//   n("1 span", "{count} spans", count)               n("{count} of {all} span", ..., count, { all })
//
// Where there is no translation the English text stands. The catalog of a language is a module of its own,
// js/locale/<language>.js, made by `make messages`; base.html loads it before every other module. Only texts
// written here in full are found: t("Save"), never t(word) of a word made up elsewhere.

let messages = {};
let plural = {};
let rules = new Intl.PluralRules("en");

// messages: English text -> translation, or for n() -> its forms; plural: category of Intl.PluralRules ->
// which form.
export function use(catalog) {
  messages = catalog.messages;
  plural = catalog.plural;
  rules = new Intl.PluralRules(catalog.language);
}

export function t(text, values = {}) {
  return fill(messages[text] ?? text, values);
}

export function n(one, many, count, values = {}) {
  const forms = messages[one];
  const text = Array.isArray(forms) ? forms[plural[rules.select(count)] ?? forms.length - 1] : count === 1 ? one : many;
  return fill(text, { count: number(count), ...values });
}

// A number as the page's language writes it.
export function number(value, options) {
  return new Intl.NumberFormat(language(), options).format(value);
}

export function language() {
  return globalThis.document?.documentElement.lang || "en";
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}
