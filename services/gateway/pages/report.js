// The report around the pictures: verdict, reasons, findings, tables, details, and the JSON to take away.

import { fillDetails } from "./details.js";
import { byId, element } from "./dom.js";
import { evidenceWords } from "./evidence.js";
import { labelTable, notAssessed, predictionMark, withWarnings } from "./labels.js";
import { predictedLabels, verdictOf } from "./verdict.js";
import { listed, probability } from "./text.js";

const SIGNS = { present: "!", absent: "–", unknown: "?" };
const SEVERITIES = { refuse: "Refused", warn: "Warning", note: "Note" };
const MOST_SERIOUS_FIRST = Object.keys(SEVERITIES);

// `go(index)` shows a slice. Returns the verdict with its warnings, as text.
export function fillReport(report, go) {
  const { kind, title, detail } = verdictOf(report);
  byId("verdict").dataset.kind = kind;
  byId("verdict-sign").textContent = SIGNS[kind];
  byId("verdict-title").replaceChildren(...withWarnings(title, report));
  byId("verdict-detail").textContent = detail;
  byId("reasons").replaceChildren(...bySeverity(report.reasons).map(reasonRow));
  byId("evidence").textContent = evidenceWords(report.evidence);
  byId("findings").replaceChildren(...report.findings.map(findingRow));
  byId("report-disclaimer").textContent = report.disclaimer;
  fillSeries(report, go);
  fillDetails(byId("details-body"), report);
  return byId("verdict-title").textContent;
}

function bySeverity(reasons) {
  const rank = ({ severity }) => MOST_SERIOUS_FIRST.indexOf(severity);
  return [...reasons].sort((one, other) => rank(one) - rank(other));
}

function reasonRow({ code, detail, severity }) {
  const word = element("strong", { class: "severity" }, SEVERITIES[severity] ?? severity);
  const name = element("code", {}, code);
  return element("li", { "data-severity": severity }, word, " ", element("span", {}, detail), " ", name);
}

function findingRow(line) {
  return element("li", /: present/.test(line) ? { class: "present" } : {}, line);
}

function fillSeries(report, go) {
  byId("series-title").textContent = report.series ? "The series" : "The pictures";
  byId("series-table").replaceChildren(report.series ? seriesTable(report) : picturesTable(report, go));
}

function seriesTable({ series, thresholds }) {
  if (!series.probabilities) return notAssessed();
  return labelTable("Probabilities of the series", series, thresholds.series);
}

function picturesTable({ slices }, go) {
  return sliceTable("The pictures", "Picture", slices, go, ({ file }) => file);
}

// A row for each slice, to be pressed: in a report of pictures, and in place of pictures where there are none.
export function sliceTable(caption, first, slices, go, nameOf) {
  const head = [first, "any", "Predicted"].map((words) => element("th", { scope: "col" }, words));
  const table = element(
    "table",
    { class: "pictures" },
    element("caption", { class: "unseen" }, caption),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...slices.map((slice) => sliceRow(slice, go, nameOf(slice)))),
  );
  return element("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": caption }, table);
}

function sliceRow({ index, probabilities, predictions }, go, name) {
  const choose = element("button", { type: "button", class: "plain path" }, name);
  choose.addEventListener("click", () => go(index));
  const kinds = predictedLabels(predictions).filter((label) => label !== "any");
  const verdict = predictions ? [predictionMark(predictions.any), kinds.length ? `: ${listed(kinds)}` : ""] : ["–"];
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, choose),
    element("td", { class: "numbers" }, probabilities ? probability(probabilities.any) : "–"),
    element("td", {}, ...verdict),
  );
}

// Without the pictures, as the API answers when it is not asked for them.
export function downloadReport(report) {
  const bare = { ...report, slices: report.slices.map((slice) => ({ ...slice, image: null })) };
  saveAs(new Blob([JSON.stringify(bare, null, 2)], { type: "application/json" }), `report-${report.id}.json`);
}

export function saveAs(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
