// A table of texts: the first cell of a row is its header.

import { element } from "../dom.js";

/** @typedef {string | Node} Cell */

/** @param {string} caption for screen readers @param {string[]} head @param {Cell[][]} rows */
export function dataTable(caption, head, rows) {
  const body = rows.map(([first, ...others]) =>
    element("tr", {}, element("th", { scope: "row" }, first), ...others.map((cell) => element("td", { class: "tabular" }, cell))),
  );
  return element(
    "table",
    {},
    element("caption", { class: "visually-hidden" }, caption),
    element("thead", {}, element("tr", {}, ...head.map((title) => element("th", { scope: "col" }, title)))),
    element("tbody", {}, ...body),
  );
}

/** A table that scrolls sideways on a phone, also by keyboard. @param {string} caption @param {string[]} head @param {Cell[][]} rows */
export const wideTable = (caption, head, rows) =>
  element("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": caption }, dataTable(caption, head, rows));
