// How an answer was made: model, recipe, thresholds, identifiers, and where the time went.

import { element } from "./dom.js";
import { listed, milliseconds, moment, threshold } from "./text.js";

const SHORT_SHA = 12;
// As services/common/predictions.py states it.
const RULE =
  "A subtype is present where its probability exceeds its threshold; any where its own does or a subtype is present. " +
  "In a series a slice's label is present only where the series' label is.";

export function fillDetails(body, report) {
  body.replaceChildren(
    element("div", {}, element("h3", {}, "Model"), facts(modelFacts(report))),
    element("div", {}, element("h3", {}, "Time"), facts(timeFacts(report.timings_ms))),
    element("div", {}, element("h3", {}, "Thresholds"), thresholdTable(report.thresholds), element("p", { class: "hint" }, RULE)),
    element("div", { class: "wide" }, element("h3", {}, "Identifiers"), facts(identifierFacts(report))),
  );
}

// Reports of older versions say neither when nor by which software they were made.
function modelFacts({ model, thresholds, version }) {
  return [
    ["Name", model.name],
    ["Card (SHA-256)", model.sha256.slice(0, SHORT_SHA)],
    ["Recipe", model.recipe],
    ["Operating point", thresholds.operating_point],
    ["Software", version ?? "unknown"],
  ];
}

function timeFacts(timings) {
  return Object.entries(timings).map(([stage, ms]) => [stage, milliseconds(ms)]);
}

function identifierFacts({ id, created, series }) {
  return [
    ["Report", id],
    ["Created", created ? moment(created) : "unknown"],
    ["Study", series?.study_instance_uid ?? "none"],
    ["Series", series?.series_instance_uid ?? "none"],
  ];
}

function facts(pairs) {
  const rows = pairs.flatMap(([name, value]) => [
    element("dt", {}, name),
    element("dd", { class: "numbers path" }, value),
  ]);
  return element("dl", {}, ...rows);
}

function thresholdTable(thresholds) {
  const head = ["Label", "Slice", "Series"].map((words) => element("th", { scope: "col" }, words));
  const rows = Object.keys(thresholds.slice).map((label) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, listed([label])),
      element("td", { class: "numbers" }, threshold(thresholds.slice[label])),
      element("td", { class: "numbers" }, threshold(thresholds.series[label])),
    ),
  );
  const caption = element("caption", { class: "unseen" }, "Thresholds");
  return element("table", {}, caption, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}
