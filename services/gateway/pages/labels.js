// The six labels as a table: probability as a bar with its threshold, as a number, and the prediction.

import { element } from "./dom.js";
import { warningCount } from "./verdict.js";
import { formatProbability, formatThreshold, joinLabels } from "./text.js";

export function labelTable(caption, { probabilities, predictions }, thresholds) {
  const labels = Object.keys(thresholds);
  const rows = labels.map((label) => labelRow(label, probabilities[label], thresholds[label], predictions[label]));
  return element(
    "table",
    { class: "labels" },
    element("caption", { class: "visually-hidden" }, caption),
    element("thead", {}, element("tr", {}, ...["Label", "Probability", "Threshold", "Predicted"].map(headerCell))),
    element("tbody", {}, ...rows),
  );
}

export const notAssessed = () => element("p", { class: "hint" }, "Not assessed: there are no probabilities.");

function headerCell(title) {
  return element("th", { scope: "col", class: `column-${title.toLowerCase()}` }, title);
}

function labelRow(label, probability, limit, present) {
  const bar = probabilityBar(probability, limit);
  const number = element("span", { class: "tabular" }, formatProbability(probability));
  return element(
    "tr",
    { class: present ? "present" : "absent" },
    element("th", { scope: "row" }, joinLabels([label])),
    element("td", { class: "column-probability" }, element("div", { class: "probability" }, bar, number)),
    element("td", { class: "column-threshold tabular" }, formatThreshold(limit)),
    element("td", { class: "column-predicted" }, predictionMark(present)),
  );
}

// A verdict's title, followed by the number of warnings in another colour.
export function titleWithWarnings(title, report) {
  const warnings = warningCount(report);
  if (warnings === "") return [title];
  return [title, element("span", { class: "warnings" }, `${title.includes(":") ? ";" : ","} ${warnings}`)];
}

// A word and a symbol, so that colour is not needed.
export function predictionMark(present) {
  const symbol = element("span", { "aria-hidden": "true" }, present ? "● " : "○ ");
  return element("span", { class: `prediction ${present ? "present" : "absent"}` }, symbol, present ? "yes" : "no");
}

export function probabilityBar(probability, limit) {
  const fill = element("span", { class: "fill" });
  const tick = element("span", { class: "tick" });
  fill.style.width = `${100 * probability}%`;
  tick.style.left = `${100 * limit}%`;
  return element("span", { class: "bar", "aria-hidden": "true" }, fill, tick);
}
