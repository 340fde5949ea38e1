// The verdict of a report with its reasons, remedies, measurements and findings.

import { element } from "../dom.js";
import { has, t } from "../i18n/i18n.js";
import { formatNumber, labelName, labelNames } from "../text.js";
import { describeEvidence } from "./evidence.js";
import { titleWithWarnings } from "./labels.js";
import { describePlace } from "./place.js";
import { verdictFor } from "./verdict.js";

const SYMBOLS = { present: "!", absent: "–", unknown: "?" };
const SEVERITIES = ["refuse", "warn", "note"];

/** Verdict, reasons with remedies, measurements and findings; as strong for `not assessed` as for a haemorrhage. @param {any} report */
export function verdictSection(report) {
  const { kind, title, detail } = verdictFor(report);
  return element(
    "section",
    { class: "verdict", "data-kind": kind },
    element("span", { class: "symbol", "aria-hidden": "true" }, SYMBOLS[kind]),
    element(
      "div",
      {},
      element("h2", { tabindex: "-1" }, ...titleWithWarnings(title, report)),
      element("p", {}, detail),
      ...filled("ul", "reasons", bySeverity(report.reasons ?? []).map(reasonRow), t("report.reasons")),
      ...filled("p", "hint", [describeEvidence(report.evidence)].filter(Boolean)),
      ...filled("ul", "findings", findings(report), t("report.findings")),
    ),
  );
}

/** An element with its children; nothing without them. @param {keyof HTMLElementTagNameMap} name @param {string} kind @param {(Node | string)[]} children */
function filled(name, kind, children, title = "") {
  /** @type {Record<string, string>} */
  const named = title ? { "aria-label": title } : {};
  return children.length > 0 ? [element(name, { class: kind, ...named }, ...children)] : [];
}

/** @param {readonly { code: string, detail: string, severity: string }[]} reasons */
function bySeverity(reasons) {
  return [...reasons].sort((one, other) => SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity));
}

/** The service words a reason in English; the remedy is in the reader's language. @param {{ code: string, detail: string, severity: any }} reason */
function reasonRow({ code, detail, severity }) {
  const remedy = `remedy.${code}`;
  return element(
    "li",
    { "data-severity": severity },
    element("strong", { class: "severity" }, SEVERITIES.includes(severity) ? t(/** @type {any} */ (`severity.${severity}`)) : severity),
    " ",
    element("span", { lang: "en" }, detail),
    has(remedy) ? ` ${t(/** @type {any} */ (remedy))} ` : " ",
    element("code", {}, code),
  );
}

/** A line for each label that is present, with its place, and one for the others. @param {any} report */
function findings(report) {
  const levels = report.series ? [report.series] : report.slices;
  if (report.status !== "assessed") return [];
  const labels = Object.keys(report.thresholds.slice);
  const count = (/** @type {string} */ label) => levels.filter((/** @type {any} */ level) => level.predictions?.[label]).length;
  const highest = (/** @type {string} */ label) => Math.max(...levels.map((/** @type {any} */ level) => level.probabilities?.[label] ?? 0));
  const present = labels.filter((label) => count(label) > 0);
  const rows = present.map((label) => {
    const inPictures = report.series ? "" : `, ${t("report.in_pictures", { positive: count(label), count: levels.length })}`;
    const words = t("report.finding", { label: labelName(label), probability: formatNumber(highest(label), 2, 2) });
    return element("li", { class: "present" }, `${words}${inPictures}`, ...describePlace(report.locations?.[label], report));
  });
  const others = labels.filter((label) => !present.includes(label));
  return others.length > 0 ? [...rows, element("li", {}, t("report.not_predicted", { labels: labelNames(others) }))] : rows;
}
