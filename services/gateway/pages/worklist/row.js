// One series of the worklist as a row of cells, and the row of titles by which the reader sorts.

import { button, element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { predictedLabels, subtypeList } from "../report/verdict.js";
import { routeAddress } from "../router.js";
import { formatProbability, labelName } from "../text.js";
import { ariaSort, LABELS } from "./filters.js";

/** @typedef {import("../types.js").WorklistEntry} Entry */
/** @typedef {{ onMark(): void, onUrgent(): void, onPatient(): void, marked: boolean }} Actions */

const SYMBOLS = { queued: "◌", running: "◐", assessed: "✓", not_assessed: "?", failed: "✕", cancelled: "–" };
const COLUMNS = /** @type {const} */ (["mark", "status", "urgent", "received", "source", "description", "slices", "verdict", "probability", "feedback"]);
const SORTED = ["status", "urgent", "received", "description"];
const OPINIONS = /** @type {const} */ ([["agree", "✓"], ["disagree", "✗"], ["uncertain", "?"]]);

/** @param {import("./filters.js").Query} filters @param {(column: string) => void} onSort */
export function titleCells(filters, onSort) {
  return COLUMNS.map((column) => {
    const cell = element("div", { role: "columnheader", class: `cell-${column}` });
    if (SORTED.includes(column)) {
      cell.setAttribute("aria-sort", ariaSort(filters, column));
      cell.append(sortButton(column === "urgent" ? "⚑" : t(`list.column_${column}`), () => onSort(column), t(`list.column_${column}`)));
    } else if (column === "probability") cell.append(...labelTitles(filters, onSort));
    else cell.append(element("span", { class: column === "mark" ? "visually-hidden" : "" }, t(`list.column_${column}`)));
    return cell;
  });
}

/** @param {string} text @param {() => void} onClick @param {string} title */
const sortButton = (text, onClick, title = text) => button(text, onClick, { title, "aria-label": title === text ? text : `${text}: ${title}` });

/** @param {import("./filters.js").Query} filters @param {(column: string) => void} onSort */
const labelTitles = (filters, onSort) =>
  LABELS.map((label) => {
    const sort = `probability:${label}`;
    const node = sortButton(t(/** @type {any} */ (`short.${label}`)), () => onSort(sort), t("list.sort_label", { label: labelName(label) }));
    node.setAttribute("aria-pressed", String(filters.sort === sort));
    return node;
  });

/** The address of a series; of its job where it has no number yet. @param {Entry} entry */
export const entryAddress = ({ job, number }) => routeAddress(number === null ? `/jobs/${job}` : `/jobs/${job}/series/${number}`);

/** @param {HTMLElement} row @param {Entry | undefined} entry @param {Actions} actions */
export function fillRow(row, entry, actions) {
  row.setAttribute("aria-busy", String(entry === undefined));
  row.dataset.kind = entry ? kindOf(entry) : "";
  row.setAttribute("aria-selected", String(actions.marked));
  if (!entry) return row.replaceChildren(element("div", { role: "gridcell", class: "cell-description" }, "…"));
  const contents = {
    mark: [markBox(entry, actions)],
    status: [symbol(SYMBOLS[entry.status]), t(`status.${entry.status}`)],
    urgent: [urgentFlag(entry, actions)],
    received: [element("time", { datetime: entry.received, title: entry.received }, localTime(entry.received))],
    source: [entry.source ? t(`source.${entry.source}`) : "–"],
    description: description(entry, actions),
    slices: [entry.slices === null ? "–" : String(entry.slices)],
    verdict: verdict(entry),
    probability: entry.probabilities ? bars(entry.probabilities, entry.predictions ?? {}) : ["–"],
    feedback: feedback(entry.feedback),
  };
  row.replaceChildren(...COLUMNS.map((column) => element("div", { role: "gridcell", class: `cell-${column}` }, ...contents[column])));
}

/** @param {Entry} entry */
function kindOf({ status, present }) {
  if (status === "assessed") return present ? "present" : "absent";
  return status === "not_assessed" || status === "failed" ? "unknown" : "waiting";
}

/** 2026-01-31 08:00 in the reader's zone: one form for all languages. @param {string} time UTC */
function localTime(time) {
  const date = new Date(time);
  return new Date(date.getTime() - 60_000 * date.getTimezoneOffset()).toISOString().slice(0, 16).replace("T", " ");
}

/** @param {string} character */
const symbol = (character) => element("span", { class: "symbol-small", "aria-hidden": "true" }, character);

/** Out of the tab order: the row's keys do the same. @param {Entry} entry @param {Actions} actions */
function markBox({ number }, { marked, onMark }) {
  const box = element("input", { type: "checkbox", tabindex: "-1", "aria-label": t("list.mark") });
  box.checked = marked;
  box.disabled = number === null;
  box.addEventListener("change", onMark);
  return box;
}

/** A button as long as the job waits. @param {Entry} entry @param {Actions} actions */
function urgentFlag({ priority, status }, { onUrgent }) {
  const urgent = priority === "urgent";
  const word = element("span", { class: urgent ? "" : "visually-hidden" }, t(urgent ? "list.urgent" : "list.routine"));
  const flag = element("span", { class: urgent ? "flag urgent" : "flag" }, element("span", { "aria-hidden": "true" }, urgent ? "⚑ " : "⚐ "), word);
  if (status !== "queued" && status !== "running") return urgent ? flag : word;
  return button(flag, onUrgent, { tabindex: "-1", "aria-pressed": String(urgent), title: t("list.urgent_hint") });
}

/** @param {Entry} entry @param {Actions} actions */
function description(entry, { onPatient }) {
  const title = entry.series_description || t("list.no_description");
  const more = [entry.patient_name, entry.study_description, entry.acquired?.replace("T", " ").slice(0, 16)].filter(Boolean).join(" · ");
  const same = button(t("list.same_patient"), onPatient, { class: "link-button", tabindex: "-1", title: t("list.same_patient_hint") });
  const link = element("a", { href: entryAddress(entry), tabindex: "-1", title }, title);
  return [element("strong", {}, link), element("span", { class: "hint", title: more }, ...(entry.patient ? [same, " "] : []), more)];
}

/** @param {Entry} entry */
function verdict({ status, present, predictions, warnings, reason_detail: detail }) {
  if (status === "assessed") {
    const title = present ? t("verdict.present", { types: "" }) : t("verdict.absent");
    const types = present ? subtypeList(predictedLabels(predictions)).slice(2) : ""; // behind ": " or ", "
    const noted = warnings > 0 ? [types ? ", " : "", element("span", { class: "warnings" }, t("count.warnings", { count: warnings }))] : [];
    const below = element("span", { class: "below", title: types }, element("b", {}, types), ...noted);
    return [element("strong", { title }, symbol(present ? "●" : "○"), title), below];
  }
  if (status !== "not_assessed" && status !== "failed") return ["–"];
  const title = t(status === "failed" ? "verdict.failed" : "verdict.not_assessed");
  return [element("strong", {}, symbol(SYMBOLS[status]), title), element("span", { class: "hint", title: detail ?? "", lang: "en" }, detail ?? "")];
}

/** @param {Record<string, number>} probabilities @param {Record<string, boolean>} predictions */
function bars(probabilities, predictions) {
  const texts = LABELS.map((label) => `${labelName(label)} ${formatProbability(probabilities[label])}`);
  const towers = LABELS.map((label, at) => {
    const fill = element("span", { class: predictions[label] ? "fill present" : "fill" });
    fill.style.height = `${100 * probabilities[label]}%`;
    return element("span", { class: "tower", "aria-hidden": "true", title: texts[at] }, fill);
  });
  return [...towers, element("span", { class: "visually-hidden" }, texts.join(", "))];
}

/** @param {Entry["feedback"]} counts */
function feedback(counts) {
  const given = OPINIONS.filter(([opinion]) => counts[opinion] > 0);
  return given.map(([opinion, mark]) => {
    const text = `${counts[opinion]} ${t(`feedback.${opinion}`)}`;
    const short = element("span", { "aria-hidden": "true" }, `${mark}${counts[opinion]}`);
    return element("span", { class: "opinion", title: text }, short, element("span", { class: "visually-hidden" }, text));
  });
}
