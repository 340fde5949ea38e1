// The series of a job as a growing list: the verdict of each, or the reason of its failure.

import { byId, element, show } from "./dom.js";
import { probabilityBar, titleWithWarnings } from "./report/labels.js";
import { seriesNumber } from "./jobs.js";
import { verdictFor } from "./report/verdict.js";
import { formatProbability, joinLabels, pluralize } from "./text.js";

const SYMBOLS = { present: "●", absent: "○", unknown: "?", failed: "✕" };
const ORDERS = {
  sent: (one, other) => one.number - other.number,
  any: (one, other) => other.any - one.any || one.number - other.number,
};

export class SeriesList {
  rows = []; // {number, any, node, button}, in the order of the table

  constructor(onOpen) {
    this.onOpen = onOpen;
    byId("job-order").addEventListener("change", () => this.sort());
  }

  clear() {
    this.rows = [];
    byId("job-rows").replaceChildren();
    show(byId("job-list"), false);
  }

  // Inserts one row; the other rows and the focus stay.
  add(report) {
    const added = this.row(report);
    const order = ORDERS[byId("job-order").value];
    const next = this.rows.findIndex((other) => order(added, other) < 0);
    const at = next < 0 ? this.rows.length : next;
    byId("job-rows").insertBefore(added.node, this.rows[at]?.node ?? null);
    this.rows.splice(at, 0, added);
    show(byId("job-list"));
  }

  sort() {
    this.rows.sort(ORDERS[byId("job-order").value]);
    byId("job-rows").replaceChildren(...this.rows.map(({ node }) => node));
  }

  highlight(report) {
    for (const { number, button } of this.rows) {
      if (report && number === seriesNumber(report)) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  focus(report) {
    this.rows.find(({ number }) => number === seriesNumber(report))?.button.focus();
  }

  row(report) {
    const number = seriesNumber(report);
    const any = highestAny(report);
    const { kind, title, detail } = outcomeOf(report);
    const button = element("button", { type: "button", class: "link-button path" }, seriesTitle(report, number));
    button.addEventListener("click", () => this.onOpen(report));
    const uid = report.series?.series_instance_uid;
    const value = element("span", { class: "tabular" }, any === null ? "–" : formatProbability(any));
    const bar = any === null ? [] : [probabilityBar(any, anyThreshold(report))];
    const symbol = element("span", { class: "symbol-small", "aria-hidden": "true" }, SYMBOLS[kind]);
    const verdict = element("strong", {}, ...titleWithWarnings(title, report));
    const text = element("div", {}, verdict, element("div", { class: "hint" }, detail));
    const name = report.status === "failed" ? element("span", { class: "path" }, seriesTitle(report, number)) : button;
    const node = element(
      "tr",
      { class: kind, role: "row" },
      element("th", { scope: "row", role: "rowheader" }, ...numberLabel(report, number), name, element("code", { class: "uid" }, uid ?? "")),
      element("td", { class: "tabular column-slices", role: "cell" }, String(report.series?.slices ?? report.slices.length)),
      element("td", { class: "column-any", role: "cell" }, element("div", { class: "probability" }, ...bar, value)),
      element("td", { class: "column-verdict", role: "cell" }, element("div", { class: "verdict-cell" }, symbol, text)),
    );
    return { number, any: any ?? -1, node, button };
  }
}

// The folder of its files, or "Series 1" where they are in several.
export function seriesTitle(report, number = seriesNumber(report)) {
  const folders = new Set((report.slices ?? []).map(({ file }) => file.split("/").slice(0, -1).join("/")));
  const [folder] = folders;
  return folders.size === 1 && folder ? folder : defaultTitle(number);
}

const defaultTitle = (number) => `Series ${number + 1}`;

// The number in the CSV file, unless the title holds it.
function numberLabel(report, number) {
  if (seriesTitle(report, number) === defaultTitle(number)) return [];
  return [element("span", { class: "series-number tabular hint" }, `${number + 1}`)];
}

function outcomeOf(report) {
  if (report.status === "failed") {
    return { kind: "failed", title: "Could not be assessed", detail: report.problem.detail };
  }
  const { kind, title } = verdictFor(report);
  const refusals = report.reasons.filter(({ severity }) => severity === "refuse").map(({ detail }) => detail);
  return { kind, title, detail: refusals.join(" ") };
}

function highestAny({ series, slices = [] }) {
  if (series?.probabilities) return series.probabilities.any;
  const found = slices.flatMap(({ probabilities }) => (probabilities ? [probabilities.any] : []));
  return found.length > 0 ? Math.max(...found) : null;
}

const anyThreshold = ({ series, thresholds }) => (series ? thresholds.series : thresholds.slice).any;

// Progress and counts of a job.
export function describeProgress({ status, progress, counts, queue_position: position, ...job }) {
  if (status === "queued") return position ? `${pluralize(position, "job")} of yours before it.` : "";
  if (!progress.series) return "";
  const outcomes = Object.entries(counts).filter(([, count]) => count > 0);
  const parts = outcomes.map(([outcome, count]) => `${count.toLocaleString("en")} ${joinLabels([outcome])}`);
  const results = [["haemorrhage predicted", job.series_present], ["warnings", job.series_with_warnings]];
  const present = results.filter(([, count]) => count > 0).map(([title, count]) => `${title} in ${inSeries(count)}`);
  return [parts.join(", "), ...present].filter(Boolean).join("; ");
}

const inSeries = (count) => pluralize(count, "series", "series");
