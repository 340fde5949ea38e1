// Routes: the part of the address after `#` names a view, so that a reload and a link show the same.
//
//   #/                                worklist; ?status=…&label=…&text=…&sort=…
//   #/jobs/{job}                      worklist of one job, with its progress and its actions
//   #/jobs/{job}/series/{number}      viewer and report; ?slice={index}
//   #/compare/{job}/{n}/{job}/{n}     two series side by side
//   #/model                           the model card

import { noResponse } from "./errors.js";
import { t } from "./i18n/i18n.js";
import { problemSection } from "./upload/problem.js";

/**
 * A view fills the container and returns what ends it.
 * @typedef {(container: HTMLElement, parameters: Record<string, string>) => ({ close(): void })} OpenView
 */

const ROUTES = [
  { view: "series", pattern: /^\/jobs\/(?<job>[0-9a-z]+)\/series\/(?<number>\d+)$/ },
  { view: "compare", pattern: /^\/compare\/(?<job>[0-9a-z]+)\/(?<number>\d+)\/(?<otherJob>[0-9a-z]+)\/(?<otherNumber>\d+)$/ },
  { view: "model", pattern: /^\/model$/ },
  { view: "worklist", pattern: /^job=(?<job>[0-9a-z]+)$/ }, // of versions before 0.5
  { view: "worklist", pattern: /^\/jobs\/(?<job>[0-9a-z]+)$/ },
  { view: "worklist", pattern: /^/ },
];

/** @param {string} hash @returns {{ view: string, parameters: Record<string, string> }} */
export function parseRoute(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  for (const { view, pattern } of ROUTES) {
    const match = pattern.exec(path);
    if (match) return { view, parameters: { ...Object.fromEntries(new URLSearchParams(query)), ...match.groups } };
  }
  return { view: "worklist", parameters: {} };
}

/** @param {string} path @param {Record<string, string | number | undefined>} query */
export function routeAddress(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#${path}${text ? `?${text}` : ""}`;
}

/** The worklist as the reader left it: with filters and order. */
export const lastWorklist = { address: "#/" };

/** Changes the query of the present address without opening the view again: a slice, a filter. */
export function replaceAddress(/** @type {string} */ address) {
  history.replaceState(null, "", address);
}

/** A view whose modules did not arrive: a reload asks for them again. @param {Error} error @returns {OpenView} */
function missingView(error) {
  if (!(error instanceof TypeError)) throw error;
  return (container) => {
    container.append(problemSection(noResponse(), () => location.reload()));
    return { close: () => undefined };
  };
}

/**
 * @param {HTMLElement} container the page's <main>
 * @param {Record<string, () => Promise<OpenView>>} views loaded when they are opened
 * @param {(view: string) => void} onOpen
 */
export function startRouter(container, views, onOpen) {
  /** @type {{ close(): void } | undefined} */
  let current;
  const open = async () => {
    const { hash } = location;
    const { view, parameters } = parseRoute(hash);
    const openView = await views[view]().catch(missingView);
    if (location.hash !== hash) return; // the reader has chosen another one meanwhile
    current?.close();
    container.replaceChildren();
    container.dataset.view = view;
    document.title = t("app.title");
    current = openView(container, parameters);
    onOpen(view);
  };
  addEventListener("hashchange", async () => {
    await open();
    if (document.activeElement === document.body) container.focus({ preventScroll: true });
  });
  open();
}
