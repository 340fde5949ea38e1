// The report without its pictures: verdict, reasons, findings, tables, details, and the download.

import { fillDetails } from "./report/details.js";
import { byId, element } from "./dom.js";
import { describeEvidence } from "./report/evidence.js";
import { predictionMark, seriesTable, titleWithWarnings } from "./report/labels.js";
import { predictedLabels, verdictFor } from "./report/verdict.js";
import { formatProbability, joinLabels } from "./text.js";

const SYMBOLS = { present: "!", absent: "–", unknown: "?" };
const SEVERITIES = { refuse: "Refused", warn: "Warning", note: "Note" };
const SEVERITY_ORDER = Object.keys(SEVERITIES);

// Returns the verdict's title with its warnings. `onSlice(index)` shows a slice.
export function fillReport(report, onSlice) {
  const { kind, title, detail } = verdictFor(report);
  byId("verdict").dataset.kind = kind;
  byId("verdict-symbol").textContent = SYMBOLS[kind];
  byId("verdict-title").replaceChildren(...titleWithWarnings(title, report));
  byId("verdict-detail").textContent = detail;
  byId("reasons").replaceChildren(...bySeverity(report.reasons).map(reasonRow));
  byId("evidence").textContent = describeEvidence(report.evidence);
  byId("findings").replaceChildren(...report.findings.map(findingRow));
  byId("report-disclaimer").textContent = report.disclaimer;
  fillSeries(report, onSlice);
  fillDetails(byId("details-body"), report);
  return byId("verdict-title").textContent;
}

function bySeverity(reasons) {
  const rank = ({ severity }) => SEVERITY_ORDER.indexOf(severity);
  return [...reasons].sort((one, other) => rank(one) - rank(other));
}

function reasonRow({ code, detail, severity }) {
  const label = element("strong", { class: "severity" }, SEVERITIES[severity] ?? severity);
  const name = element("code", {}, code);
  return element("li", { "data-severity": severity }, label, " ", element("span", {}, detail), " ", name);
}

function findingRow(line) {
  return element("li", /: present/.test(line) ? { class: "present" } : {}, line);
}

function fillSeries(report, onSlice) {
  byId("series-title").textContent = report.series ? "The series" : "The pictures";
  byId("series-table").replaceChildren(report.series ? seriesTable(report) : picturesTable(report, onSlice));
}

function picturesTable({ slices }, onSlice) {
  return sliceTable("The pictures", "Picture", slices, onSlice, ({ file }) => file);
}

// A row with a button for each slice: for a report of pictures, or of slices without pictures.
export function sliceTable(caption, first, slices, onSlice, rowTitle) {
  const head = [first, "any", "Predicted"].map((title) => element("th", { scope: "col" }, title));
  const table = element(
    "table",
    { class: "pictures" },
    element("caption", { class: "visually-hidden" }, caption),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...slices.map((slice) => sliceRow(slice, onSlice, rowTitle(slice)))),
  );
  return element("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": caption }, table);
}

function sliceRow({ index, probabilities, predictions }, onSlice, name) {
  const choose = element("button", { type: "button", class: "link-button path" }, name);
  choose.addEventListener("click", () => onSlice(index));
  const subtypes = predictedLabels(predictions).filter((label) => label !== "any");
  const verdict = predictions ? [predictionMark(predictions.any), subtypes.length ? `: ${joinLabels(subtypes)}` : ""] : ["–"];
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, choose),
    element("td", { class: "tabular" }, probabilities ? formatProbability(probabilities.any) : "–"),
    element("td", {}, ...verdict),
  );
}

// Without the pictures, as the API returns it by default.
export function downloadReport(report) {
  const content = { ...report, slices: report.slices.map((slice) => ({ ...slice, image: null })) };
  saveFile(new Blob([JSON.stringify(content, null, 2)], { type: "application/json" }), `report-${report.id}.json`);
}

export function saveFile(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
