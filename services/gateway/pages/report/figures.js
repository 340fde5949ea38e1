// How much a verdict tells on patients: likelihood ratios, and predictive values at a prevalence.
//
// Only figures on patients count: those of a signed addendum of the site, or of a card that was measured on patients.
// For others the words are "unknown on patients". Figures of phantoms never stand here.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { servedModel } from "../model/served_model.js";
import { formatNumber, formatPercent, labelName } from "../text.js";
import { dataTable } from "./data_table.js";
import { afterResult, likelihoodRatios, share } from "./likelihood.js";

/** @typedef {import("./likelihood.js").Counts} Counts */
/** @typedef {import("./likelihood.js").Estimate} Estimate */
/** The figures of series at one operating point, by label. @typedef {{ data: string, counts: Record<string, Counts> }} Evaluation */

const LARGEST_PREVALENCE = 0.6;

/** @param {any} report */
export function createFigures(report) {
  const section = element("section", { class: "figures" }, element("h3", {}, t("figures.title")));
  section.hidden = report.status !== "assessed";
  if (section.hidden) return section;
  const body = element("div", {});
  section.append(body);
  fillFigures(body, report);
  return section;
}

/** @param {HTMLElement} body @param {any} report */
export async function fillFigures(body, report) {
  try {
    const served = await servedModel();
    const [evaluation] = evaluationsOf(report, served);
    if (evaluation) body.replaceChildren(...figures(report, evaluation, served.prevalence ?? 0));
    else body.replaceChildren(unknown(report, served));
  } catch {
    body.replaceChildren(element("p", { class: "hint" }, t("figures.not_loaded")));
  }
}

/**
 * Evaluations on patients that hold for a report, newest first: of its bundle and operating point, and for series of
 * several slices alone, as they were measured.
 * @param {any} report @param {any} served the answer of `GET /v1/models` @returns {Evaluation[]}
 */
export function evaluationsOf({ model, series, slices, thresholds }, { sha256, card, addenda, card_measured_on_patients: measured }) {
  if (model.sha256 !== sha256 || !series || slices.length < 2) return [];
  const point = thresholds.operating_point;
  const attached = [...(addenda ?? [])].sort((one, other) => other.created.localeCompare(one.created)).map(({ data, figures }) => ({
    data,
    counts: byLabel(figures.series, (figure) => figure.points[point]),
  }));
  const own = measured ? [{ data: card.metrics.data, counts: byLabel(card.metrics.series, (figure) => countsOf(figure, point)) }] : [];
  return [...attached, ...own].filter(({ counts }) => counts.any);
}

/** @param {Record<string, any>} figures @param {(figure: any) => Counts | undefined} counts @returns {Record<string, Counts>} */
function byLabel(figures, counts) {
  const found = Object.entries(figures).map(([label, figure]) => [label, counts(figure)]);
  return Object.fromEntries(found.filter(([, one]) => one));
}

/** The counts behind a card's rates, which have four digits. @param {any} figure @param {string} point @returns {Counts | undefined} */
function countsOf({ positives, negatives, ...points }, point) {
  const { sensitivity, specificity } = points[point] ?? {};
  if (!positives || !negatives || typeof sensitivity !== "number" || typeof specificity !== "number") return undefined;
  const [tp, tn] = [Math.round(sensitivity * positives), Math.round(specificity * negatives)];
  return { tp, fn: positives - tp, tn, fp: negatives - tn };
}

/** @param {any} report @param {any} served */
function unknown({ model, series, slices }, { sha256 }) {
  const several = series && slices.length > 1;
  const why = !several ? "figures.no_series" : model.sha256 === sha256 ? "figures.no_evaluation" : "figures.other_bundle";
  return element("p", {}, element("strong", {}, t("figures.unknown")), ` ${t(why)}`);
}

/** @param {any} report @param {Evaluation} evaluation @param {number} prevalence */
function figures(report, { data, counts }, prevalence) {
  const after = element("p", { role: "status" });
  const present = report.series.predictions.any;
  const ratios = likelihoodRatios(counts.any);
  const fill = (/** @type {number} */ chosen) => after.replaceChildren(...(ratios ? predictive(ratios, present, chosen) : []));
  fill(prevalence);
  const rows = Object.entries(counts).map(([label, one]) => ratioRow(label, report.series.predictions[label], one));
  const head = [t("report.column_label"), t("figures.column_result"), t("figures.column_ratio")];
  return [
    element("p", { class: "hint" }, t("figures.data", { data, ...cases(counts.any) })),
    element("p", {}, rates(counts.any)),
    dataTable(t("figures.title"), head, rows),
    prevalenceSlider(prevalence, fill),
    after,
    element("p", { class: "hint" }, t("figures.method")),
  ];
}

/** @param {Counts} counts */
const cases = ({ tp, fn, fp, tn }) => ({ positives: tp + fn, negatives: fp + tn });

/** @param {Counts} counts */
export function rates({ tp, fp, tn, fn }) {
  const words = (/** @type {number} */ hits, /** @type {number} */ all) => (all > 0 ? percentWithInterval(share(hits, all)) : t("unknown"));
  return t("figures.rates", { sensitivity: words(tp, tp + fn), specificity: words(tn, tn + fp) });
}

/** @param {string} label @param {boolean} present @param {Counts} counts */
function ratioRow(label, present, counts) {
  const ratios = likelihoodRatios(counts);
  const value = ratios ? withInterval(ratios[present ? "positive" : "negative"], formatRatio) : t("unknown");
  return [labelName(label), t(present ? "figures.positive" : "figures.negative"), value];
}

/** @param {{ positive: Estimate, negative: Estimate }} ratios @param {boolean} present @param {number} prevalence */
function predictive({ positive, negative }, present, prevalence) {
  if (prevalence === 0) return [t("figures.choose_prevalence")];
  const [ill, missed] = [afterResult(positive, prevalence), afterResult(negative, prevalence)];
  const healthy = { value: 1 - missed.value, low: 1 - missed.high, high: 1 - missed.low };
  const words = t("figures.predictive", { ppv: percentWithInterval(ill), npv: percentWithInterval(healthy) });
  const here = present ? ill : missed;
  const count = t("figures.of_hundred", { number: formatNumber(100 * here.value, 1), low: formatNumber(100 * here.low, 1), high: formatNumber(100 * here.high, 1) });
  return [element("strong", {}, count), ` ${words}`];
}

/** @param {number} prevalence @param {(chosen: number) => void} onChange */
function prevalenceSlider(prevalence, onChange) {
  const bounds = { min: "0", max: String(LARGEST_PREVALENCE), step: "0.005" };
  const slider = element("input", { type: "range", ...bounds, value: String(prevalence) });
  const output = element("output", {});
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

/** @param {Estimate} estimate @param {(value: number) => string} format */
export const withInterval = ({ value, low, high }, format) => t("figures.interval", { value: format(value), low: format(low), high: format(high) });

/** @param {Estimate} estimate */
export const percentWithInterval = (estimate) => withInterval(estimate, formatPercent);

/** Two significant digits. @param {number} value */
export const formatRatio = (value) => formatNumber(Number(value.toPrecision(2)), 4);
