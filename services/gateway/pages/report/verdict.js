// The verdict of a report. Pure functions of the report.

import { t } from "../i18n/i18n.js";
import { labelNames } from "../text.js";

/** @typedef {import("../types.js").Report} Report */
/** @typedef {import("../types.js").FailedReport} FailedReport */
/** @typedef {{ kind: "present" | "absent" | "unknown", title: string, detail: string }} Verdict */

/** Whether a series failed. @param {Report | FailedReport} report @returns {report is FailedReport} */
export const failedReport = (report) => report.status === "failed";

/** @param {Report | FailedReport} report @returns {Verdict} */
export function verdictFor(report) {
  if (failedReport(report)) return { kind: "unknown", title: t("verdict.failed"), detail: `${report.problem.detail ?? report.problem.title ?? ""}` };
  if (report.status !== "assessed") return notAssessed(report);
  return report.series ? seriesVerdict(report) : picturesVerdict(report);
}

/** @param {Report} report @returns {Verdict} */
function notAssessed(report) {
  return { kind: "unknown", title: t("verdict.not_assessed"), detail: t("verdict.not_assessed_detail", { slices: sliceCount(report) }) };
}

/** @param {Report} report @returns {Verdict} */
function seriesVerdict(report) {
  const labels = predictedLabels(report.series?.predictions);
  const detail = t("verdict.series_detail", { slices: sliceCount(report), ...origin(report) });
  if (labels.length > 0) return { kind: "present", title: t("verdict.present", { types: subtypeList(labels) }), detail };
  return { kind: "absent", title: t("verdict.absent"), detail: `${detail}${sliceWarning(report)}` };
}

// In reports before version 0.2 a slice may be positive and its series not; jobs may still hold such reports.
/** @param {Report} report */
function sliceWarning(report) {
  const count = positiveSlices(report).length;
  return count === 0 ? "" : ` ${t("verdict.slices_above", { count })}`;
}

/** @param {Report} report @returns {Verdict} */
function picturesVerdict(report) {
  const positive = positiveSlices(report);
  const found = new Set(positive.flatMap((slice) => predictedLabels(slice.predictions)));
  const detail = t("verdict.pictures_detail", origin(report));
  const all = t("count.pictures", { count: report.slices.length });
  if (positive.length === 0) return { kind: "absent", title: t("verdict.pictures_absent", { pictures: all }), detail };
  const types = subtypeList(Object.keys(report.thresholds.slice).filter((label) => found.has(label)));
  return { kind: "present", title: t("verdict.pictures_present", { positive: positive.length, pictures: all, types }), detail };
}

/** "3 warnings"; empty for none. @param {Report | FailedReport} report */
export function warningCount(report) {
  const count = (failedReport(report) ? [] : report.reasons).filter(({ severity }) => severity === "warn").length;
  return count > 0 ? t("count.warnings", { count }) : "";
}

/** @param {Record<string, boolean> | null | undefined} predictions */
export const predictedLabels = (predictions) => Object.entries(predictions ?? {}).flatMap(([label, present]) => (present ? [label] : []));

/** @param {Report} report */
const positiveSlices = (report) => report.slices.filter((slice) => predictedLabels(slice.predictions).length > 0);

/** @param {Report} report */
const sliceCount = (report) => t("count.slices", { count: report.slices.length });

/** @param {Report} report */
const origin = ({ model, thresholds }) => ({ model: model.name, point: thresholds.operating_point });

/** @param {string[]} labels */
export function subtypeList(labels) {
  const subtypes = labels.filter((label) => label !== "any");
  return subtypes.length > 0 ? `: ${labelNames(subtypes)}` : t("verdict.type_uncertain");
}
