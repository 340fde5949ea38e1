// The six labels as a table: probability as a bar with its threshold, as a number, and the prediction.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { formatProbability, formatThreshold, labelName } from "../text.js";
import { warningCount } from "./verdict.js";

/** @typedef {import("../types.js").Report} Report */

const COLUMNS = /** @type {const} */ (["label", "probability", "threshold", "predicted"]);

/** @param {string} caption @param {Pick<import("../types.js").ReportSlice, "probabilities" | "predictions">} level @param {Record<string, number>} thresholds */
export function labelTable(caption, { probabilities, predictions }, thresholds) {
  if (!probabilities) return element("p", { class: "hint" }, t("report.no_probabilities"));
  const labels = Object.keys(thresholds);
  const rows = labels.map((label) => labelRow(label, probabilities[label], thresholds[label], predictions?.[label] ?? false));
  return element(
    "table",
    { class: "labels" },
    element("caption", { class: "visually-hidden" }, caption),
    element("thead", {}, element("tr", {}, ...COLUMNS.map((column) => element("th", { scope: "col", class: `column-${column}` }, t(`report.column_${column}`))))),
    element("tbody", {}, ...rows),
  );
}

/** @param {Report} report of a series */
export const seriesTable = ({ series, thresholds }) => labelTable(t("report.series_table"), series ?? {}, thresholds.series);

/** @param {import("../types.js").ReportSlice} slice @param {Report} report */
export const sliceTitle = ({ index }, { slices }) => t("report.slice", { number: index + 1, total: slices.length });

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

/** A verdict's title, followed by the number of warnings in another colour. @param {string} title @param {Report | import("../types.js").FailedReport} report */
export function titleWithWarnings(title, report) {
  const warnings = warningCount(report);
  if (warnings === "") return [title];
  return [title, element("span", { class: "warnings" }, `${title.includes(":") ? ";" : ","} ${warnings}`)];
}

/** A word and a symbol, so that colour is not needed. @param {boolean} present */
export function predictionMark(present) {
  const symbol = element("span", { "aria-hidden": true }, present ? "● " : "○ ");
  return element("span", { class: `prediction ${present ? "present" : "absent"}` }, symbol, t(present ? "report.yes" : "report.no"));
}

/** @param {number} probability @param {number} limit */
export function probabilityBar(probability, limit) {
  const fill = element("span", { class: "fill" });
  const tick = element("span", { class: "tick" });
  fill.style.width = `${100 * probability}%`;
  tick.style.left = `${100 * limit}%`;
  return element("span", { class: "bar", "aria-hidden": true }, fill, tick);
}
