// The report of one series, beside its pictures: verdict, reasons, findings, tables, figures, opinions and downloads.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { formatNumber, formatProbability, labelName, labelNames } from "../text.js";
import { wideTable } from "./data_table.js";
import { fillDetails } from "./details.js";
import { createDownloads } from "./downloads.js";
import { FeedbackForm } from "./feedback_form.js";
import { createFigures } from "./figures.js";
import { labelTable, notAssessed, predictionMark, seriesTable, sliceTitle } from "./labels.js";
import { predictedLabels } from "./verdict.js";
import { verdictSection } from "./verdict_section.js";

/** @typedef {import("../types.js").Report} Report */
/** @typedef {import("../types.js").ReportSlice} ReportSlice */
/** `update(index)` shows the slice of this `index`. @typedef {HTMLElement & { update(index: number): void }} ReportPanel */

/**
 * @param {{ job: string, number: number, report: any, onSlice(index: number): void }} options
 *   `report` is a Report, or the FailedReport of a series that failed
 * @returns {ReportPanel}
 */
export function createReportPanel({ job, number, report, onSlice }) {
  const panel = element("article", { class: "report-panel", "aria-label": t("report.title") });
  if (report.status === "failed") {
    panel.append(verdictSection(report), disclaimer(report));
    return Object.assign(panel, { update() {} });
  }
  const slice = element("section", { class: "this-slice" });
  const feedback = new FeedbackForm(job, number, report);
  panel.append(
    verdictSection(report),
    ...seriesSection(report, onSlice),
    slice,
    ...keySlices(report, onSlice),
    createFigures(report),
    feedback.element,
    createDownloads(job, number, report),
    details(report),
    disclaimer(report),
  );
  const update = (/** @type {number} */ index) => {
    fillSlice(slice, report, index);
    feedback.show(index);
  };
  update(report.key_slices?.[0] ?? 0);
  return Object.assign(panel, { update });
}

/** @param {any} report @param {(index: number) => void} onSlice */
function seriesSection(report, onSlice) {
  const title = t(report.series ? "report.series" : "report.pictures");
  const table = report.series ? seriesTable(report) : pictureTable(report, onSlice);
  return [element("section", {}, element("h3", {}, title), table)];
}

/** @param {any} report @param {(index: number) => void} onSlice */
function pictureTable({ slices }, onSlice) {
  const head = [t("report.picture"), labelName("any"), t("report.column_predicted")];
  return wideTable(t("report.pictures"), head, slices.map((/** @type {any} */ slice) => pictureRow(slice, onSlice)));
}

/** @param {any} slice @param {(index: number) => void} onSlice */
function pictureRow({ index, file, probabilities, predictions }, onSlice) {
  const subtypes = predictedLabels(predictions).filter((label) => label !== "any");
  const words = element("span", {}, predictions ? predictionMark(predictions.any) : "–", subtypes.length > 0 ? `: ${labelNames(subtypes)}` : "");
  return [button(file, () => onSlice(index), "link-button path"), probabilities ? formatProbability(probabilities.any) : "–", words];
}

/** @param {HTMLElement} section @param {any} report @param {number} index */
function fillSlice(section, report, index) {
  const slice = report.slices[index];
  if (!slice) return;
  const table = slice.probabilities ? labelTable(t("report.slice_table"), slice, report.thresholds.slice) : notAssessed();
  section.replaceChildren(element("h3", {}, sliceTitle(slice, report)), element("p", { class: "hint path" }, sliceFacts(slice, report)), table);
}

/** @param {any} slice @param {any} report */
function sliceFacts({ file, frame, position_mm: position, slab }, { series }) {
  const place = series && position !== undefined ? [t("report.position", { mm: formatNumber(position, 1) })] : [];
  const averaged = Number.isInteger(slab) ? [t("report.slab", { number: slab + 1 })] : [];
  return [...place, ...averaged, frame ? t("report.frame", { file, number: frame + 1 }) : file].join(", ");
}

/** @param {any} report @param {(index: number) => void} onSlice */
function keySlices({ key_slices: keys, slices }, onSlice) {
  const buttons = (keys ?? []).map((/** @type {number} */ index) => {
    const any = formatNumber(slices[index].probabilities?.any ?? 0, 2, 2);
    return button(t("report.key_slice", { number: index + 1, probability: any }), () => onSlice(index));
  });
  if (buttons.length === 0) return [];
  return [element("section", {}, element("h3", {}, t("report.key_slices")), element("p", { class: "row" }, ...buttons))];
}

/** @param {string} text @param {() => void} onClick */
function button(text, onClick, kind = "") {
  const made = element("button", { type: "button", class: kind }, text);
  made.addEventListener("click", onClick);
  return made;
}

/** @param {any} report */
function details(report) {
  const body = element("div", { class: "details" });
  fillDetails(body, report);
  return element("details", {}, element("summary", {}, t("report.details")), body);
}

/** @param {any} report */
const disclaimer = (report) => element("p", { class: "hint", lang: "en" }, report.disclaimer ?? t("app.disclaimer"));
