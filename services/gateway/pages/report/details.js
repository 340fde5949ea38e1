// Details of a report: model, recipe, thresholds, identifiers and timings.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { formatMilliseconds, formatTime } from "../text.js";

const SHORT_SHA = 12;

/** @typedef {import("../types.js").Report} Report */

/** Folded until a reader asks. @param {Report} report */
export function createDetails(report) {
  const parts = [
    [t("details.model"), modelFacts(report)],
    [t("details.time"), Object.entries(report.timings_ms).map(([stage, ms]) => [stage, formatMilliseconds(ms)])],
    [t("details.identifiers"), identifierFacts(report)],
  ].map(([title, facts]) => element("div", {}, element("h3", {}, `${title}`), definitionList(/** @type {string[][]} */ (facts))));
  const rule = element("p", { class: "hint" }, t("report.rule"));
  return element("details", {}, element("summary", {}, t("report.details")), element("div", { class: "details" }, ...parts), rule);
}

/** @param {Report} report */
export function modelFacts({ model, thresholds, version }) {
  return [
    [t("details.name"), model.name],
    [t("details.card"), model.sha256.slice(0, SHORT_SHA)],
    [t("details.recipe"), model.recipe],
    ...Object.entries(model.engines ?? {}).map(([network, engine]) => [t("details.engine", { network }), engine]),
    [t("details.operating_point"), thresholds.operating_point],
    [t("details.software"), version ?? t("unknown")],
  ];
}

/** @param {Report} report */
export function identifierFacts({ id, created, series }) {
  return [
    [t("details.report"), id],
    [t("details.created"), created ? formatTime(created) : t("unknown")],
    [t("details.study"), series?.study_instance_uid ?? t("details.none")],
    [t("details.series"), series?.series_instance_uid ?? t("details.none")],
  ];
}

/** @param {string[][]} pairs */
export function definitionList(pairs) {
  const rows = pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", { class: "tabular path" }, value)]);
  return element("dl", {}, ...rows);
}
