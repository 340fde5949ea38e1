// How much a verdict tells on patients: likelihood ratios, and predictive values at a prevalence.
//
// Only figures on patients count: those of a site's addendum, or of a card that was measured on patients. For others
// the words are "unknown on patients". Figures of phantoms never stand here.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { servedModel } from "../model/served_model.js";
import { formatNumber, formatPercent, labelName } from "../text.js";
import { dataTable } from "./data_table.js";
import { afterResult, likelihoodRatios } from "./likelihood.js";

/** @typedef {import("../types.js").Report} Report */
/** @typedef {import("../types.js").ServedModel} ServedModel */
/** @typedef {import("../types.js").PointFigures} PointFigures */
/** @typedef {import("../types.js").Rate} Rate */
/** Figures of series at one operating point, by label. @typedef {{ data: string, points: [string, PointFigures][] }} Evaluation */

/** @param {Report} report */
export function createFigures(report) {
  const body = element("div", { class: "figures-body" });
  const section = element("section", { class: "figures" }, element("h3", {}, t("figures.title")), body);
  section.hidden = report.status !== "assessed";
  fillFigures(body, report);
  return section;
}

/** @param {HTMLElement} body @param {Report} report */
export async function fillFigures(body, report) {
  try {
    const served = await servedModel();
    const evaluation = evaluationFor(report, served);
    body.replaceChildren(...(evaluation ? figures(report, evaluation, served.prevalence ?? 0) : unknown(report, served)));
  } catch {
    body.replaceChildren(element("p", { class: "hint" }, t("figures.not_loaded")));
  }
}

/**
 * The newest evaluation on patients that holds for a report: of its bundle and operating point, and for series of
 * several slices alone, as they were measured.
 * @param {Report} report @param {ServedModel} served @returns {Evaluation | undefined}
 */
export function evaluationFor({ model, series, slices, thresholds }, { sha256, card, card_figures: own, addenda }) {
  if (model.sha256 !== sha256 || !series || slices.length < 2) return undefined;
  const attached = [...addenda].sort((one, other) => other.created.localeCompare(one.created));
  const found = [...attached, ...(own ? [{ data: `${card.metrics.data ?? t("unknown")}`, figures: own }] : [])].map(({ data, figures: levels }) => ({
    data,
    points: Object.entries(levels.series).flatMap(([label, { points }]) => at(label, points[thresholds.operating_point])),
  }));
  return found.find(({ points }) => points.some(([label, counts]) => label === "any" && likelihoodRatios(counts)));
}

/** @param {string} label @param {PointFigures | undefined} counts @returns {[string, PointFigures][]} */
const at = (label, counts) => (counts ? [[label, counts]] : []);

/** @param {Report} report @param {ServedModel} served */
function unknown({ model, series, slices }, { sha256 }) {
  const several = series && slices.length > 1;
  const why = !several ? "figures.no_series" : model.sha256 === sha256 ? "figures.no_evaluation" : "figures.other_bundle";
  return [element("p", {}, element("strong", {}, t("figures.unknown")), ` ${t(why)}`)];
}

/** @param {Report} report @param {Evaluation} evaluation @param {number} prevalence */
function figures({ series }, { data, points }, prevalence) {
  const any = /** @type {PointFigures} */ (points.find(([label]) => label === "any")?.[1]);
  const after = element("p", { role: "status" });
  const present = (/** @type {string} */ label) => series?.predictions?.[label] ?? false;
  const rows = points.map(([label, counts]) => ratioRow(label, present(label), counts));
  return [
    element("p", { class: "hint" }, t("figures.data", { data, positives: any.tp + any.fn, negatives: any.fp + any.tn })),
    element("p", {}, t("figures.rates", { sensitivity: percentWithInterval(any.sensitivity), specificity: percentWithInterval(any.specificity) })),
    dataTable(t("figures.title"), [t("report.column_label"), t("figures.column_result"), t("figures.column_ratio")], rows),
    prevalenceSlider(prevalence, (chosen) => after.replaceChildren(...predictive(any, present("any"), chosen))),
    after,
    element("p", { class: "hint" }, t("figures.method")),
  ];
}

/** @param {string} label @param {boolean} present @param {PointFigures} counts */
function ratioRow(label, present, counts) {
  const ratio = likelihoodRatios(counts)?.[present ? "positive" : "negative"];
  return [labelName(label), t(present ? "figures.positive" : "figures.negative"), ratioWithInterval(ratio)];
}

/** @param {PointFigures} counts @param {boolean} present @param {number} prevalence */
function predictive(counts, present, prevalence) {
  const ratios = likelihoodRatios(counts);
  if (prevalence === 0 || !ratios) return [t("figures.choose_prevalence")];
  const [ill, missed] = [afterResult(ratios.positive, prevalence), afterResult(ratios.negative, prevalence)];
  const healthy = { value: 1 - missed.value, low: 1 - missed.high, high: 1 - missed.low };
  const [number, low, high] = [present ? ill : missed].flatMap((rate) => [rate.value, rate.low, rate.high]).map((one) => formatNumber(100 * one, 1));
  const both = t("figures.predictive", { ppv: percentWithInterval(ill), npv: percentWithInterval(healthy) });
  return [element("strong", {}, t("figures.of_hundred", { number, low, high })), ` ${both}`];
}

/** @param {number} prevalence 0 where none is set @param {(chosen: number) => void} onChange */
function prevalenceSlider(prevalence, onChange) {
  const slider = element("input", { type: "range", min: 0, max: 0.999, step: 0.001, value: prevalence });
  const output = element("span", { class: "tabular", "aria-hidden": true });
  const show = () => {
    const chosen = Number(slider.value);
    output.textContent = chosen === 0 ? t("figures.not_set") : formatPercent(chosen);
    slider.setAttribute("aria-valuetext", output.textContent);
    onChange(chosen);
  };
  slider.addEventListener("input", show);
  slider.addEventListener("keydown", (event) => event.stopPropagation()); // the viewer has the arrow keys otherwise
  show();
  return element("label", { class: "prevalence" }, element("span", {}, t("figures.prevalence")), slider, output);
}

/** @param {Rate | null | undefined} rate @param {(value: number) => string} format */
function withInterval(rate, format) {
  return rate ? t("figures.interval", { value: format(rate.value), low: format(rate.low), high: format(rate.high) }) : t("unknown");
}

/** @param {Rate | null | undefined} rate */
export const percentWithInterval = (rate) => withInterval(rate, formatPercent);

/** With two significant digits. @param {Rate | null | undefined} ratio */
export const ratioWithInterval = (ratio) => withInterval(ratio, (value) => formatNumber(Number(value.toPrecision(2)), 4));
