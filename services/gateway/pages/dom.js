// Creates and shows elements. Texts of the server and file names are inserted as text, never as markup.

/** @typedef {Record<string, string | number | boolean>} Attributes */
/** @typedef {(Node | string)[]} Children */

const SVG = "http://www.w3.org/2000/svg";

/** An element that the document holds. @param {string} id */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name @param {Attributes} attributes @param {Children} children
 */
export function element(name, attributes = {}, ...children) {
  return withContent(document.createElement(name), attributes, children);
}

/**
 * @template {keyof SVGElementTagNameMap} Name
 * @param {Name} name @param {Attributes} attributes @param {Children} children
 */
export function svgElement(name, attributes = {}, ...children) {
  return withContent(document.createElementNS(SVG, name), attributes, children);
}

/** @template {Element} Kind @param {Kind} node @param {Attributes} attributes @param {Children} children */
function withContent(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  node.append(...children);
  return node;
}

/** @param {Node | string} content @param {(event: MouseEvent) => void} onClick @param {Attributes} attributes */
export function button(content, onClick, attributes = {}) {
  const node = element("button", { type: "button", ...attributes }, content);
  node.addEventListener("click", onClick);
  return node;
}

/** @param {HTMLElement} node @param {boolean} visible */
export function show(node, visible = true) {
  node.hidden = !visible;
}

/** Announces a change to screen readers. @param {string} text */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** @param {Blob} blob @param {string} name */
export function saveFile(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
