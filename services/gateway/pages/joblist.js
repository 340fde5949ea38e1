// The series of a job as a list that fills: what each was judged, or why it was not.

import { byId, element, show } from "./dom.js";
import { bar, withWarnings } from "./labels.js";
import { numberOf } from "./jobs.js";
import { verdictOf } from "./verdict.js";
import { counted, listed, probability } from "./text.js";

const SIGNS = { present: "●", absent: "○", unknown: "?", failed: "✕" };
const ORDERS = {
  sent: (one, other) => one.number - other.number,
  any: (one, other) => other.any - one.any || one.number - other.number,
};

export class JobList {
  rows = []; // {number, any, node, open}, in the order that is shown

  constructor(onOpen) {
    this.onOpen = onOpen;
    byId("job-order").addEventListener("change", () => this.sort());
  }

  clear() {
    this.rows = [];
    byId("job-rows").replaceChildren();
    show(byId("job-list"), false);
  }

  // Rows that are there stay where they are, and so does the focus.
  add(report) {
    const made = this.row(report);
    const order = ORDERS[byId("job-order").value];
    const behind = this.rows.findIndex((other) => order(made, other) < 0);
    const at = behind < 0 ? this.rows.length : behind;
    byId("job-rows").insertBefore(made.node, this.rows[at]?.node ?? null);
    this.rows.splice(at, 0, made);
    show(byId("job-list"));
  }

  sort() {
    this.rows.sort(ORDERS[byId("job-order").value]);
    byId("job-rows").replaceChildren(...this.rows.map(({ node }) => node));
  }

  mark(report) {
    for (const { number, open } of this.rows) {
      if (report && number === numberOf(report)) open.setAttribute("aria-current", "true");
      else open.removeAttribute("aria-current");
    }
  }

  focus(report) {
    this.rows.find(({ number }) => number === numberOf(report))?.open.focus();
  }

  row(report) {
    const number = numberOf(report);
    const any = highestAny(report);
    const { kind, title, detail } = judged(report);
    const open = element("button", { type: "button", class: "plain path" }, nameOf(report, number));
    open.addEventListener("click", () => this.onOpen(report));
    const uid = report.series?.series_instance_uid;
    const value = any === null ? "–" : probability(any);
    const level = [...(any === null ? [] : [bar(any, limitOf(report))]), element("span", { class: "numbers" }, value)];
    const sign = element("span", { class: "sign-small", "aria-hidden": "true" }, SIGNS[kind]);
    const verdict = element("strong", {}, ...withWarnings(title, report));
    const words = element("div", {}, verdict, element("div", { class: "hint" }, detail));
    const name = report.status === "failed" ? element("span", { class: "path" }, nameOf(report, number)) : open;
    const node = element(
      "tr",
      { class: kind, role: "row" },
      element("th", { scope: "row", role: "rowheader" }, ...placeOf(report, number), name, element("code", { class: "uid" }, uid ?? "")),
      element("td", { class: "numbers column-slices", role: "cell" }, String(report.series?.slices ?? report.slices.length)),
      element("td", { class: "column-any", role: "cell" }, element("div", { class: "level" }, ...level)),
      element("td", { class: "column-verdict", role: "cell" }, element("div", { class: "judged" }, sign, words)),
    );
    return { number, any: any ?? -1, node, open };
  }
}

// The folder that its files lie in tells people more than a UID.
export function nameOf(report, number = numberOf(report)) {
  const folders = new Set((report.slices ?? []).map(({ file }) => file.split("/").slice(0, -1).join("/")));
  const [folder] = folders;
  return folders.size === 1 && folder ? folder : seriesName(number);
}

const seriesName = (number) => `Series ${number + 1}`;

// The number that the table for download has, where it is not the name already.
function placeOf(report, number) {
  if (nameOf(report, number) === seriesName(number)) return [];
  return [element("span", { class: "place numbers hint" }, `${number + 1}`)];
}

function judged(report) {
  if (report.status === "failed") {
    return { kind: "failed", title: "Could not be assessed", detail: report.problem.detail };
  }
  const { kind, title } = verdictOf(report);
  const refusals = report.reasons.filter(({ severity }) => severity === "refuse").map(({ detail }) => detail);
  return { kind, title, detail: refusals.join(" ") };
}

function highestAny({ series, slices = [] }) {
  if (series?.probabilities) return series.probabilities.any;
  const found = slices.flatMap(({ probabilities }) => (probabilities ? [probabilities.any] : []));
  return found.length > 0 ? Math.max(...found) : null;
}

const limitOf = ({ series, thresholds }) => (series ? thresholds.series : thresholds.slice).any;

// How far a job is, in words.
export function progressWords({ status, progress, counts, queue_position: before, ...job }) {
  if (status === "queued") return before ? `${counted(before, "job")} of yours before it.` : "";
  if (!progress.series) return "";
  const found = Object.entries(counts).filter(([, count]) => count > 0);
  const parts = found.map(([outcome, count]) => `${count.toLocaleString("en")} ${listed([outcome])}`);
  const more = [["haemorrhage predicted", job.series_present], ["warnings", job.series_with_warnings]];
  const among = more.filter(([, count]) => count > 0).map(([what, count]) => `${what} in ${inSeries(count)}`);
  return [parts.join(", "), ...among].filter(Boolean).join("; ");
}

const inSeries = (count) => counted(count, "series", "series");
