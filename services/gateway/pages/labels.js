// The six labels as a table: a bar with the threshold as a tick, the number itself, and what it means.

import { element } from "./dom.js";
import { warningsOf } from "./verdict.js";
import { listed, probability, threshold } from "./text.js";

export function labelTable(caption, { probabilities, predictions }, thresholds) {
  const labels = Object.keys(thresholds);
  const rows = labels.map((label) => row(label, probabilities[label], thresholds[label], predictions[label]));
  return element(
    "table",
    { class: "labels" },
    element("caption", { class: "unseen" }, caption),
    element("thead", {}, element("tr", {}, ...["Label", "Probability", "Threshold", "Predicted"].map(head))),
    element("tbody", {}, ...rows),
  );
}

export const notAssessed = () => element("p", { class: "hint" }, "Not assessed: there are no probabilities.");

function head(words) {
  return element("th", { scope: "col", class: `column-${words.toLowerCase()}` }, words);
}

function row(label, p, limit, present) {
  const number = element("span", { class: "numbers" }, probability(p));
  return element(
    "tr",
    { class: present ? "present" : "absent" },
    element("th", { scope: "row" }, listed([label])),
    element("td", { class: "column-probability" }, element("div", { class: "level" }, bar(p, limit), number)),
    element("td", { class: "column-threshold numbers" }, threshold(limit)),
    element("td", { class: "column-predicted" }, predictionMark(present)),
  );
}

// A verdict with the number of its warnings behind it, as text and in another colour.
export function withWarnings(title, report) {
  const words = warningsOf(report);
  if (words === "") return [title];
  return [title, element("span", { class: "warnings" }, `${title.includes(":") ? ";" : ","} ${words}`)];
}

// A word and a shape; the colour only repeats them.
export function predictionMark(present) {
  const sign = element("span", { "aria-hidden": "true" }, present ? "● " : "○ ");
  return element("span", { class: `mark ${present ? "present" : "absent"}` }, sign, present ? "yes" : "no");
}

export function bar(p, limit) {
  const fill = element("span", { class: "fill" });
  const tick = element("span", { class: "tick" });
  fill.style.width = `${100 * p}%`;
  tick.style.left = `${100 * limit}%`;
  return element("span", { class: "bar", "aria-hidden": "true" }, fill, tick);
}
