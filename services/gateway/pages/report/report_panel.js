// The report of one series, beside its pictures: verdict, reasons, findings, tables, figures, opinions and downloads.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { formatNumber, formatProbability, labelName, labelNames } from "../text.js";
import { wideTable } from "./data_table.js";
import { createDetails } from "./details.js";
import { createDownloads } from "./downloads.js";
import { FeedbackForm } from "./feedback_form.js";
import { createFigures } from "./figures.js";
import { labelTable, predictionMark, seriesTable, sliceTitle } from "./labels.js";
import { failedReport, predictedLabels } from "./verdict.js";
import { verdictSection } from "./verdict_section.js";

/** @typedef {import("../types.js").Report} Report */
/** @typedef {import("../types.js").ReportSlice} ReportSlice */
/** Shows a slice by its `index`. @typedef {(index: number) => void} OnSlice */
/** `update` follows the viewer's slice. @typedef {HTMLElement & { update: OnSlice }} ReportPanel */

/** @param {{ job: string, number: number, report: Report | import("../types.js").FailedReport, onSlice: OnSlice }} options @returns {ReportPanel} */
export function createReportPanel({ job, number, report, onSlice }) {
  const panel = element("article", { class: "report-panel", "aria-label": t("report.title") }, verdictSection(report));
  if (failedReport(report)) return Object.assign(panel, { update() {} });
  const slice = element("section", { class: "this-slice" });
  const feedback = new FeedbackForm(job, number, report);
  const update = (/** @type {number} */ index) => {
    slice.replaceChildren(...sliceParts(report, index));
    feedback.show(index);
  };
  panel.append(
    element("section", {}, element("h3", {}, t(report.series ? "report.series" : "report.pictures")), report.series ? seriesTable(report) : pictureTable(report, onSlice)),
    slice,
    createFigures(report),
    feedback.element,
    createDownloads(job, number, report),
    createDetails(report),
    element("p", { class: "hint", lang: "en" }, report.disclaimer),
  );
  update(report.key_slices[0] ?? 0);
  return Object.assign(panel, { update });
}

/** @param {Report} report @param {OnSlice} onSlice */
function pictureTable({ slices }, onSlice) {
  const head = [t("report.picture"), labelName("any"), t("report.column_predicted")];
  return wideTable(t("report.pictures"), head, slices.map((slice) => pictureRow(slice, onSlice)));
}

/** @param {ReportSlice} slice @param {OnSlice} onSlice */
function pictureRow({ index, file, probabilities, predictions }, onSlice) {
  const subtypes = predictedLabels(predictions).filter((label) => label !== "any");
  const words = element("span", {}, predictions ? predictionMark(predictions.any) : "–", subtypes.length > 0 ? `: ${labelNames(subtypes)}` : "");
  return [button(file, () => onSlice(index), "link-button path"), probabilities ? formatProbability(probabilities.any) : "–", words];
}

/** @param {Report} report @param {number} index */
function sliceParts(report, index) {
  const slice = report.slices[index];
  if (!slice) return [];
  const table = labelTable(t("report.slice_table"), slice, report.thresholds.slice);
  return [element("h3", {}, sliceTitle(slice, report)), element("p", { class: "hint path" }, sliceFacts(slice, report)), table];
}

/** @param {ReportSlice} slice @param {Report} report */
function sliceFacts({ file, frame, position_mm: position, slab }, { series }) {
  const place = series ? [t("report.position", { mm: formatNumber(position, 1) })] : [];
  const averaged = typeof slab === "number" ? [t("report.slab", { number: slab + 1 })] : [];
  return [...place, ...averaged, frame ? t("report.frame", { file, number: frame + 1 }) : file].join(", ");
}

/** @param {string} text @param {() => void} onClick */
function button(text, onClick, kind = "") {
  const made = element("button", { type: "button", class: kind }, text);
  made.addEventListener("click", onClick);
  return made;
}
