// Creates and shows elements. Texts of the server and file names are inserted as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  return withContent(document.createElement(name), attributes, children);
}

export function svgElement(name, attributes = {}, ...children) {
  return withContent(document.createElementNS(SVG, name), attributes, children);
}

function withContent(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export function show(node, visible = true) {
  node.hidden = !visible;
}

// Announces a change to screen readers.
export function announce(text) {
  byId("announcer").textContent = text;
}

// Scrolls to a new section and moves the focus to its heading.
export function focusSection(heading, container) {
  const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)").matches;
  heading.focus({ preventScroll: true });
  container.scrollIntoView({ behavior: reducedMotion ? "auto" : "smooth", block: "start" });
}
