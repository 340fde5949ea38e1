// Details of a report: model, recipe, thresholds, identifiers and timings.

import { element } from "./dom.js";
import { formatMilliseconds, formatThreshold, formatTime, joinLabels } from "./text.js";

const SHORT_SHA = 12;
// The same text as in services/common/predictions.py.
const RULE =
  "A subtype is present where its probability exceeds its threshold; any where its own does or a subtype is present. " +
  "In a series a slice's label is present only where the series' label is.";

export function fillDetails(body, report) {
  body.replaceChildren(
    element("div", {}, element("h3", {}, "Model"), definitionList(modelFacts(report))),
    element("div", {}, element("h3", {}, "Time"), definitionList(timeFacts(report.timings_ms))),
    element("div", {}, element("h3", {}, "Thresholds"), thresholdTable(report.thresholds), element("p", { class: "hint" }, RULE)),
    element("div", { class: "wide" }, element("h3", {}, "Identifiers"), definitionList(identifierFacts(report))),
  );
}

// Reports of older versions have neither `version`, `created` nor `engines`.
function modelFacts({ model, thresholds, version }) {
  return [
    ["Name", model.name],
    ["Card (SHA-256)", model.sha256.slice(0, SHORT_SHA)],
    ["Recipe", model.recipe],
    ...Object.entries(model.engines ?? {}).map(([network, engine]) => [`Engine of ${network}`, engine]),
    ["Operating point", thresholds.operating_point],
    ["Software", version ?? "unknown"],
  ];
}

function timeFacts(timings) {
  return Object.entries(timings).map(([stage, ms]) => [stage, formatMilliseconds(ms)]);
}

function identifierFacts({ id, created, series }) {
  return [
    ["Report", id],
    ["Created", created ? formatTime(created) : "unknown"],
    ["Study", series?.study_instance_uid ?? "none"],
    ["Series", series?.series_instance_uid ?? "none"],
  ];
}

function definitionList(pairs) {
  const rows = pairs.flatMap(([name, value]) => [
    element("dt", {}, name),
    element("dd", { class: "tabular path" }, value),
  ]);
  return element("dl", {}, ...rows);
}

function thresholdTable(thresholds) {
  const head = ["Label", "Slice", "Series"].map((title) => element("th", { scope: "col" }, title));
  const rows = Object.keys(thresholds.slice).map((label) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, joinLabels([label])),
      element("td", { class: "tabular" }, formatThreshold(thresholds.slice[label])),
      element("td", { class: "tabular" }, formatThreshold(thresholds.series[label])),
    ),
  );
  const caption = element("caption", { class: "visually-hidden" }, "Thresholds");
  return element("table", {}, caption, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}
