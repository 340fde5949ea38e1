// Details of a report: model, recipe, thresholds, identifiers and timings.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { formatMilliseconds, formatTime } from "../text.js";

const SHORT_SHA = 12;

/** @typedef {import("../types.js").Report} Report */

/** Reports of older versions lack some members. @param {HTMLElement} body @param {Report} report */
export function fillDetails(body, report) {
  body.replaceChildren(
    element("div", {}, element("h3", {}, t("details.model")), definitionList(modelFacts(report))),
    element("div", {}, element("h3", {}, t("details.time")), definitionList(timeFacts(report.timings_ms))),
    element("div", { class: "wide" }, element("h3", {}, t("details.identifiers")), definitionList(identifierFacts(report)), element("p", { class: "hint" }, t("report.rule"))),
  );
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

/** @param {import("../types.js").Timings} timings */
const timeFacts = (timings) => Object.entries(timings).map(([stage, ms]) => [stage, formatMilliseconds(ms)]);

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
