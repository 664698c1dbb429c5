/** Making elements. Text only ever becomes text nodes: nothing that was typed or imported is parsed as HTML. */

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A label's small tag in its colour. */
export function labelTag(label) {
  return make("span", { class: `label-tag hue-${label.hue} pattern-${label.pattern}` }, label.name);
}

/** A sentence with elements in it: its `{names}` become what stands for them. */
export function phrase(sentence, parts) {
  return sentence.split(/\{(\w+)\}/).map((piece, index) => (index % 2 ? (parts[piece] ?? "") : piece));
}

export function percent(share) {
  return `${Math.round(share * 100)} %`;
}
