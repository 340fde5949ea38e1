// The verdict of a report with its reasons, remedies, measurements and findings.

import { element } from "../dom.js";
import { has, t } from "../i18n/i18n.js";
import { formatNumber, labelName, labelNames } from "../text.js";
import { describeEvidence } from "./evidence.js";
import { titleWithWarnings } from "./labels.js";
import { failedReport, verdictFor } from "./verdict.js";

/** @typedef {import("../types.js").Report} Report */
/** @typedef {import("../types.js").Reason} Reason */

const SYMBOLS = { present: "!", absent: "–", unknown: "?" };
const SEVERITIES = ["refuse", "warn", "note"];

/** As strong for `not assessed` as for a haemorrhage. @param {Report | import("../types.js").FailedReport} report */
export function verdictSection(report) {
  const { kind, title, detail } = verdictFor(report);
  const parts = failedReport(report) ? failedFiles(report.problem) : explanations(report);
  const heading = element("h2", { tabindex: -1 }, ...titleWithWarnings(title, report));
  const symbol = element("span", { class: "symbol", "aria-hidden": true }, SYMBOLS[kind]);
  return element("section", { class: "verdict", "data-kind": kind }, symbol, element("div", {}, heading, element("p", {}, detail), ...parts));
}

/** @param {Report} report */
function explanations(report) {
  return [
    ...list("reasons", bySeverity(report.reasons).map(reasonRow), t("report.reasons")),
    element("p", { class: "hint" }, describeEvidence(report.evidence)),
    ...list("findings", findings(report), t("report.findings")),
  ];
}

/** Nothing without rows. @param {string} kind @param {Node[]} rows @param {string} name */
const list = (kind, rows, name) => (rows.length > 0 ? [element("ul", { class: kind, "aria-label": name }, ...rows)] : []);

/** @param {Record<string, any>} problem of a series that failed */
function failedFiles({ code, files = [] }) {
  const rows = files.map((/** @type {{ file: string, reason?: string }} */ { file, reason }) => element("li", { class: "path", lang: "en" }, [file, reason].filter(Boolean).join(": ")));
  return [...list("reasons", rows, t("report.reasons")), element("code", {}, code ?? "")];
}

/** @param {Reason[]} reasons */
function bySeverity(reasons) {
  return [...reasons].sort((one, other) => SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity));
}

/** The service words a reason in English; the remedy is in the reader's language. @param {Reason} reason */
function reasonRow({ code, detail, severity }) {
  const remedy = /** @type {any} */ (`remedy.${code}`);
  const parts = [element("strong", { class: "severity" }, t(`severity.${severity}`)), " ", element("span", { lang: "en" }, detail), " "];
  return element("li", { "data-severity": severity }, ...parts, has(remedy) ? `${t(remedy)} ` : "", element("code", {}, code));
}

/** A line for each label that is present, with its place, and one for the others. @param {Report} report */
function findings({ status, series, slices, thresholds, locations }) {
  if (status !== "assessed") return [];
  const levels = series ? [series] : slices;
  const found = Object.keys(thresholds.slice).map((label) => ({
    label,
    positive: levels.filter(({ predictions }) => predictions?.[label]).length,
    probability: formatNumber(Math.max(...levels.map(({ probabilities }) => probabilities?.[label] ?? 0)), 2, 2),
  }));
  const rows = found.filter(({ positive }) => positive > 0).map(({ label, positive, probability }) => {
    const words = t("report.finding", { label: labelName(label), probability });
    const where = series ? describePlace(locations?.[label]) : `, ${t("report.in_pictures", { positive, count: slices.length })}`;
    return element("li", { class: "present" }, words, where);
  });
  const others = found.filter(({ positive }) => positive === 0).map(({ label }) => label);
  return others.length > 0 ? [...rows, element("li", {}, t("report.not_predicted", { labels: labelNames(others) }))] : rows;
}

/** The slices and the side; empty for reports of older versions, and without a blood map. @param {import("../types.js").Location | undefined} location */
function describePlace(location) {
  if (!location) return "";
  const { first, last, side } = location;
  const slices = t("place.slices", { count: last - first + 1, first: first + 1, last: last + 1 });
  return `: ${slices}${side ? `, ${t(`place.${side}`)}` : ""}`;
}
