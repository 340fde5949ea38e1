// The six labels as a table: probability as a bar with its threshold, as a number, and the prediction.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { formatProbability, formatThreshold, labelName } from "../text.js";
import { warningCount } from "./verdict.js";

const COLUMNS = /** @type {const} */ (["label", "probability", "threshold", "predicted"]);

/**
 * @param {string} caption
 * @param {{ probabilities?: any, predictions?: any }} level the series or a slice, assessed
 * @param {Record<string, number>} thresholds
 */
export function labelTable(caption, { probabilities, predictions }, thresholds) {
  const labels = Object.keys(thresholds);
  const rows = labels.map((label) => labelRow(label, probabilities[label], thresholds[label], predictions[label]));
  return element(
    "table",
    { class: "labels" },
    element("caption", { class: "visually-hidden" }, caption),
    element("thead", {}, element("tr", {}, ...COLUMNS.map(headerCell))),
    element("tbody", {}, ...rows),
  );
}

/** @param {any} report */
export function seriesTable({ series, thresholds }) {
  return series.probabilities ? labelTable(t("report.series_table"), series, thresholds.series) : notAssessed();
}

/** @param {any} slice @param {any} report */
export const sliceTitle = (slice, report) => t("report.slice", { number: slice.index + 1, total: report.slices.length });

export const notAssessed = () => element("p", { class: "hint" }, t("report.no_probabilities"));

/** @param {typeof COLUMNS[number]} column */
const headerCell = (column) => element("th", { scope: "col", class: `column-${column}` }, t(`report.column_${column}`));

/** @param {string} label @param {number} probability @param {number} limit @param {boolean} present */
function labelRow(label, probability, limit, present) {
  const bar = probabilityBar(probability, limit);
  const number = element("span", { class: "tabular" }, formatProbability(probability));
  return element(
    "tr",
    { class: present ? "present" : "absent" },
    element("th", { scope: "row" }, labelName(label)),
    element("td", { class: "column-probability" }, element("div", { class: "probability" }, bar, number)),
    element("td", { class: "column-threshold tabular" }, formatThreshold(limit)),
    element("td", { class: "column-predicted" }, predictionMark(present)),
  );
}

/** A verdict's title, followed by the number of warnings in another colour. @param {string} title @param {any} report */
export function titleWithWarnings(title, report) {
  const warnings = warningCount(report);
  if (warnings === "") return [title];
  return [title, element("span", { class: "warnings" }, `${title.includes(":") ? ";" : ","} ${warnings}`)];
}

/** A word and a symbol, so that colour is not needed. @param {boolean} present */
export function predictionMark(present) {
  const symbol = element("span", { "aria-hidden": "true" }, present ? "● " : "○ ");
  return element("span", { class: `prediction ${present ? "present" : "absent"}` }, symbol, t(present ? "report.yes" : "report.no"));
}

/** @param {number} probability @param {number} limit */
export function probabilityBar(probability, limit) {
  const fill = element("span", { class: "fill" });
  const tick = element("span", { class: "tick" });
  fill.style.width = `${100 * probability}%`;
  tick.style.left = `${100 * limit}%`;
  return element("span", { class: "bar", "aria-hidden": "true" }, fill, tick);
}
