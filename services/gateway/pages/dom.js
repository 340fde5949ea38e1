// The page's only ways to make elements. Words from the server and file names go in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function drawing(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export function show(node, visible = true) {
  node.hidden = !visible;
}

// Told to screen readers; what is seen says it in its own place.
export function announce(words) {
  byId("announcer").textContent = words;
}

// Moves both the eye and the focus to what is new.
export function present(heading, container) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  heading.focus({ preventScroll: true });
  container.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}
