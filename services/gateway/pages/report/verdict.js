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
  const { series, slices, model, thresholds } = report;
  const words = { slices: t("count.slices", { count: slices.length }), pictures: t("count.pictures", { count: slices.length }), model: model.name, point: thresholds.operating_point };
  if (report.status !== "assessed") return { kind: "unknown", title: t("verdict.not_assessed"), detail: t("verdict.not_assessed_detail", words) };
  const labels = Object.keys(thresholds.slice).filter((label) => (series ? [series] : slices).some(({ predictions }) => predictions?.[label]));
  const kind = labels.length > 0 ? "present" : "absent";
  const positive = slices.filter(({ predictions }) => predictedLabels(predictions).length > 0).length;
  const title = t(series ? `verdict.${kind}` : `verdict.pictures_${kind}`, { ...words, positive, types: subtypeList(labels) });
  // In reports before version 0.2 a slice may be positive and its series not; jobs may still hold such reports.
  const above = series && kind === "absent" && positive > 0 ? ` ${t("verdict.slices_above", { count: positive })}` : "";
  return { kind, title, detail: t(series ? "verdict.series_detail" : "verdict.pictures_detail", words) + above };
}

/** "3 warnings"; empty for none. @param {Report | FailedReport} report */
export function warningCount(report) {
  const count = failedReport(report) ? 0 : report.reasons.filter(({ severity }) => severity === "warn").length;
  return count > 0 ? t("count.warnings", { count }) : "";
}

/** @param {Record<string, boolean> | null | undefined} predictions */
export const predictedLabels = (predictions) => Object.entries(predictions ?? {}).flatMap(([label, present]) => (present ? [label] : []));

/** @param {string[]} labels */
export function subtypeList(labels) {
  const subtypes = labels.filter((label) => label !== "any");
  return subtypes.length > 0 ? `: ${labelNames(subtypes)}` : t("verdict.type_uncertain");
}
