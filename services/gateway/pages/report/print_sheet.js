// The report as a sheet to print: A4 pages, each with the disclaimer. "PDF" is the print dialog of the browser.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { getJson, request } from "../request.js";
import { formatProbability, formatThreshold, formatTime, labelName } from "../text.js";
import { HeatMap, PICTURE_SIDE } from "../viewer/heat_map.js";
import { DEFAULT_THRESHOLD, OverlayLayer } from "../viewer/overlay_layer.js";
import { dataTable } from "./data_table.js";
import { definitionList, identifierFacts, modelFacts } from "./details.js";
import { fillFigures } from "./figures.js";
import { seriesTable, sliceTitle } from "./labels.js";
import { verdictSection } from "./verdict_section.js";

/** @typedef {import("../types.js").Report} Report */
/** @typedef {import("../types.js").ReportSlice} ReportSlice */

/** Opens the print dialog; the sheet is removed after it. @param {string} job @param {number} number @param {Report} report */
export async function printReport(job, number, report) {
  const sheet = await createSheet(`v1/jobs/${job}`, number, report);
  const title = document.title;
  document.title = `report-${report.id}`; // the browser's name of the PDF
  document.querySelector(".print-sheet")?.remove(); // of another click
  document.body.append(sheet);
  document.body.classList.add("printing");
  const remove = () => {
    document.body.classList.remove("printing");
    document.title = title;
    sheet.remove();
  };
  addEventListener("afterprint", remove, { once: true });
  print();
}

/** @param {string} job address of the job @param {number} number @param {Report} report */
async function createSheet(job, number, report) {
  const figures = element("div");
  const [facts, pictures] = await Promise.all([seriesFacts(job, number), keyPictures(`${job}/series/${number}`, report), fillFigures(figures, report)]);
  const body = element(
    "div",
    { class: "print-body" },
    element("h1", {}, t("print.title")),
    definitionList(facts),
    verdictSection(report),
    ...(report.series ? section(t("report.series"), seriesTable(report)) : []),
    ...section(t("print.slices"), ...sliceTable(report)),
    ...section(t("report.key_slices"), ...pictures),
    ...(report.status === "assessed" ? section(t("figures.title"), figures) : []),
    ...section(t("details.model"), definitionList(modelFacts(report))),
    ...section(t("details.identifiers"), definitionList(identifierFacts(report))),
    element("p", { class: "hint" }, t("report.rule")),
  );
  return element("article", { class: "print-sheet" }, body, element("p", { class: "print-disclaimer" }, report.disclaimer));
}

/** Nothing without content. @param {string} title @param {...Node} content */
const section = (title, ...content) => (content.length > 0 ? [element("section", {}, element("h2", {}, title), ...content)] : []);

/** Descriptions, and the patient's name where the site shows names; empty where the worklist cannot be read. @param {string} job @param {number} number */
async function seriesFacts(job, number) {
  const { entries } = await getJson(`v1/worklist?job=${job.slice(job.lastIndexOf("/") + 1)}`).catch(() => ({ entries: [] }));
  /** @type {import("../types.js").WorklistEntry | undefined} */
  const entry = entries.find((/** @type {import("../types.js").WorklistEntry} */ one) => one.number === number);
  const facts = [
    [t("print.patient_name"), entry?.patient_name],
    [t("print.study_description"), entry?.study_description],
    [t("print.series_description"), entry?.series_description],
    [t("print.acquired"), entry?.acquired?.replace("T", " ")],
    [t("print.received"), entry && formatTime(entry.received)],
  ];
  return /** @type {string[][]} */ (facts.filter(([, value]) => value));
}

/** The key slices as columns; a predicted label is bold, with a mark. @param {Report} report */
function sliceTable({ key_slices: keys, slices, thresholds }) {
  const shown = keys.map((index) => slices[index]);
  if (shown.length === 0) return [];
  const head = [t("report.column_label"), ...shown.map(({ index }) => t("print.slice", { number: index + 1 })), t("report.column_threshold")];
  const rows = Object.entries(thresholds.slice).map(([label, limit]) => [labelName(label), ...shown.map((slice) => cell(slice, label)), formatThreshold(limit)]);
  return [dataTable(t("print.slices"), head, rows)];
}

/** @param {ReportSlice} slice @param {string} label */
function cell({ probabilities, predictions }, label) {
  const value = formatProbability(probabilities?.[label] ?? 0);
  return predictions?.[label] ? element("strong", {}, `● ${value}`) : value;
}

/** Each key slice as it is, and beside it with the heat map where the job keeps one. @param {string} series its address @param {Report} report */
async function keyPictures(series, report) {
  const { blood, key_slices: keys, slices } = report;
  const content = blood && keys.length > 0 ? await request(`${series}/blood`).then((response) => response.arrayBuffer(), () => null) : null;
  const options = { visible: true, label: "all", opacity: 0.5, threshold: DEFAULT_THRESHOLD, form: "both" };
  const layer = blood && content ? new OverlayLayer(new HeatMap(blood, content), options) : null;
  const rows = await Promise.all(keys.map((index) => keyPicture(series, slices[index], report, layer)));
  return rows.map((pictures, at) => element("figure", { class: "print-pictures" }, ...pictures, element("figcaption", {}, sliceTitle(slices[keys[at]], report), layer ? `. ${t("print.overlay")}` : "")));
}

/** @param {string} series @param {ReportSlice} slice @param {Report} report @param {OverlayLayer | null} layer */
async function keyPicture(series, slice, report, layer) {
  const file = await request(`${series}/slices/${slice.index}/image`).then((response) => response.blob(), () => null);
  if (!file) return [element("p", {}, t("print.no_picture"))];
  const bitmap = await createImageBitmap(file);
  const plain = draw(bitmap);
  if (!layer) return [plain.canvas];
  const fused = draw(bitmap);
  layer.draw(fused, { slice, report, pictureToCanvas: new DOMMatrix(), sliceToCanvas: new DOMMatrix() });
  return [plain.canvas, fused.canvas];
}

/** The subdural window in grey. @param {ImageBitmap} bitmap of the three windows */
function draw(bitmap) {
  const canvas = element("canvas", { width: PICTURE_SIDE, height: PICTURE_SIDE });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(bitmap, 0, 0);
  const image = context.getImageData(0, 0, PICTURE_SIDE, PICTURE_SIDE);
  for (let at = 0; at < image.data.length; at += 4) image.data.fill(image.data[at + 1], at, at + 3);
  context.putImageData(image, 0, 0);
  return context;
}
