// The report as a sheet to print: A4 pages, each with the disclaimer. "PDF" is the print dialog of the browser.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { getJson, request } from "../request.js";
import { formatProbability, formatThreshold, formatTime, labelName } from "../text.js";
import { dataTable } from "./data_table.js";
import { definitionList, identifierFacts, modelFacts } from "./details.js";
import { fillFigures } from "./figures.js";
import { seriesTable, sliceTitle } from "./labels.js";
import { verdictSection } from "./verdict_section.js";

/** Opens the print dialog; the sheet is removed after it. @param {string} job @param {number} number @param {any} report */
export async function printReport(job, number, report) {
  const sheet = await createSheet(job, number, report);
  const title = document.title;
  document.title = `report-${report.id}`; // the browser's name of the PDF
  document.body.append(sheet);
  document.body.classList.add("printing");
  addEventListener("afterprint", () => {
    document.body.classList.remove("printing");
    document.title = title;
    for (const { src } of sheet.querySelectorAll("img")) URL.revokeObjectURL(src);
    sheet.remove();
  }, { once: true });
  print();
}

/** @param {string} job @param {number} number @param {any} report */
async function createSheet(job, number, report) {
  const figures = element("div");
  const entry = await describedBy(job, number);
  const pictures = await Promise.all((report.key_slices ?? []).map((/** @type {number} */ index) => keyPicture(job, number, report, index)));
  await fillFigures(figures, report);
  const body = element(
    "div",
    { class: "print-body" },
    element("h1", {}, t("print.title")),
    definitionList(seriesFacts(entry)),
    verdictSection(report),
    ...(report.series ? [section("report.series", seriesTable(report))] : []),
    section("print.slices", sliceMatrix(report)),
    ...(pictures.length > 0 ? [section("report.key_slices", element("div", { class: "print-pictures" }, ...pictures))] : []),
    section("figures.title", figures),
    section("details.model", definitionList(modelFacts(report))),
    section("details.identifiers", definitionList(identifierFacts(report))),
    element("p", { class: "hint" }, t("report.rule")),
  );
  const disclaimer = element("p", { class: "print-disclaimer" }, report.disclaimer ?? t("app.disclaimer"));
  return element("article", { class: "print-sheet" }, body, disclaimer);
}

/** @param {any} key @param {Node} content */
const section = (key, content) => element("section", {}, element("h2", {}, t(key)), content);

/** The series' entry of the worklist; null where the worklist cannot be read. @param {string} job @param {number} number */
async function describedBy(job, number) {
  const { entries } = await getJson(`v1/worklist?job=${job}`).catch(() => ({ entries: [] }));
  return entries.find((/** @type {any} */ entry) => entry.number === number) ?? null;
}

/** The patient's name is there only where the site shows names. @param {any} entry WorklistEntry or null */
function seriesFacts(entry) {
  const facts = [
    ["print.study_description", entry?.study_description],
    ["print.series_description", entry?.series_description],
    ["print.acquired", entry?.acquired?.replace("T", " ")],
    ["print.received", entry?.received && formatTime(entry.received)],
    ["print.patient_name", entry?.patient_name],
  ];
  return facts.filter(([, value]) => value).map(([key, value]) => [t(key), value]);
}

/** The key slices, else those with the highest probability of any, as columns. @param {any} report */
function sliceMatrix({ key_slices: keys, slices, thresholds }) {
  const assessed = slices.filter((/** @type {any} */ slice) => slice.probabilities);
  if (assessed.length === 0) return element("p", {}, t("report.no_probabilities"));
  const highest = [...assessed].sort((one, other) => other.probabilities.any - one.probabilities.any).slice(0, 5);
  const shown = keys?.length > 0 ? keys.map((/** @type {number} */ index) => slices[index]) : highest;
  const names = shown.map((/** @type {any} */ { index }) => t("print.slice", { number: index + 1 }));
  const head = [t("report.column_label"), ...names, t("report.column_threshold")];
  return dataTable(t("print.slices"), head, Object.keys(thresholds.slice).map((label) => matrixRow(label, shown, thresholds.slice[label])));
}

/** A probability of a predicted label is bold, with a mark. @param {string} label @param {any[]} slices @param {number} limit */
function matrixRow(label, slices, limit) {
  const cells = slices.map(({ probabilities, predictions }) => {
    const value = formatProbability(probabilities[label]);
    return predictions?.[label] ? element("strong", {}, `● ${value}`) : value;
  });
  return [labelName(label), ...cells, formatThreshold(limit)];
}

/** @param {string} job @param {number} number @param {any} report @param {number} index */
async function keyPicture(job, number, report, index) {
  const caption = element("figcaption", {}, sliceTitle(report.slices[index], report));
  try {
    const picture = await (await request(`v1/jobs/${job}/series/${number}/slices/${index}/image`)).blob();
    const image = element("img", { src: URL.createObjectURL(picture), alt: caption.textContent });
    await image.decode();
    return element("figure", {}, image, caption);
  } catch {
    return element("figure", {}, element("p", {}, t("print.no_picture")), caption);
  }
}
