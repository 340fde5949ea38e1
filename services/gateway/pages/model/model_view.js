// The model card as a page. It states what the card holds; what the card lacks is said to be unknown.

import { element, saveFile } from "../dom.js";
import { has, t } from "../i18n/i18n.js";
import { wideTable } from "../report/data_table.js";
import { definitionList } from "../report/details.js";
import { percentWithInterval, ratioWithInterval } from "../report/figures.js";
import { likelihoodRatios } from "../report/likelihood.js";
import { formatNumber, formatPercent, formatThreshold, formatTime, labelName } from "../text.js";
import { createAgreement } from "./agreement.js";
import { servedModel } from "./served_model.js";

/** @typedef {import("../types.js").Card} Card */
/** @typedef {import("../types.js").Addendum} Addendum */
/** @typedef {import("../types.js").ServedModel} ServedModel */

const LEVELS = /** @type {const} */ (["series", "slice"]);

/** @type {import("../router.js").OpenView} */
export function openModelView(container) {
  const page = element("article", { class: "model-page" }, element("p", { role: "status" }, t("model.loading")));
  container.append(page);
  servedModel().then(
    (served) => page.replaceChildren(...sections(served)),
    ({ title, detail }) => page.replaceChildren(element("p", { role: "alert" }, [title, detail].filter(Boolean).join(": "))),
  );
  return { close() {} };
}

/** @param {ServedModel} served */
function sections(served) {
  const { card, addenda, addenda_refused: refused } = served;
  const limits = card.limits_of_use.map((limit) => element("li", {}, limit));
  return [
    overview(served),
    section(t("model.limits"), limits.length > 0 ? element("ul", { class: "plain", lang: "en" }, ...limits) : hint(t("unknown"))),
    ...LEVELS.map((level) => section(t(`model.performance_${level}`), ...performance(card, level))),
    section(t("model.addenda"), ...(addenda.length > 0 ? addenda.flatMap(addendum) : [hint(t("model.no_addenda"))]), ...refused.map(refusal)),
    section(t("model.agreement"), createAgreement()),
    section(t("model.shifts"), ...shifts(card)),
    section(t("model.thresholds"), hint(t("report.rule")), thresholds(card)),
    section(t("model.windows"), windows(card)),
    section(t("model.training"), definitionList(training(served))),
  ];
}

/** @param {string} title @param {...Node} content */
const section = (title, ...content) => element("section", { class: "card" }, element("h2", {}, title), ...content);

/** @param {string} text */
const hint = (text) => element("p", { class: "hint" }, text);

/** @param {ServedModel} served */
function overview({ card, sha256, card_figures: figures }) {
  const download = element("button", { type: "button" }, t("model.download"));
  const file = new Blob([JSON.stringify(card, null, 2)], { type: "application/json" });
  download.addEventListener("click", () => saveFile(file, `card-${card.name}.json`));
  const facts = [
    [t("model.learnt_from"), `${card.training.data ?? card.data_terms}`],
    [t("model.measured_on"), `${card.metrics.data ?? t("unknown")}`],
    [t("details.card"), sha256],
    [t("details.created"), formatTime(card.created)],
    [t("model.licence"), card.licence],
  ];
  return section(
    t("model.title", { name: card.name }),
    element("p", { lang: "en" }, card.description),
    element("p", { class: "warning-note" }, t(figures ? "model.on_patients" : "model.not_on_patients")),
    definitionList(facts),
    element("p", { class: "row" }, download, element("a", { href: "v1/models" }, t("model.raw"))),
  );
}

/** @param {Card} card @param {typeof LEVELS[number]} level */
function performance({ metrics, thresholds, labels }, level) {
  const figures = /** @type {Record<string, any> | undefined} */ (metrics[level]);
  if (!figures) return [hint(t("unknown"))];
  const points = Object.keys(thresholds);
  const rates = points.map((point) => t("model.rates", { point }));
  const head = [t("report.column_label"), t("model.cases"), t("model.auc"), ...rates, t("model.calibration_error"), t("model.chance_error"), t("model.log_loss")];
  const [data, studies, slices] = [metrics.data, metrics.studies, metrics.slices].map((value) => /** @type {any} */ (value ?? t("unknown")));
  const rows = labels.map((label) => [labelName(label), ...performanceOf(figures[label] ?? {}, points)]);
  return [hint(t("model.data", { data, studies, slices })), wideTable(t(`model.performance_${level}`), head, rows)];
}

/** @param {Record<string, any>} figures of a label @param {string[]} points */
function performanceOf(figures, points) {
  const { positives, negatives, auc, auc_95_interval: interval } = figures;
  const cases = Number.isInteger(positives) ? t("model.positives_of", { positives, cases: positives + negatives }) : t("unknown");
  const rates = points.map((point) => [figures[point]?.sensitivity, figures[point]?.specificity].map((rate) => known(rate, formatPercent)).join(" / "));
  const calibration = [figures.calibration_error, figures.chance_calibration_error, figures.log_loss].map((value) => known(value));
  return [cases, knownWithInterval(auc, interval), ...rates, ...calibration];
}

/** @param {unknown} value */
const known = (value, format = (/** @type {number} */ number) => formatNumber(number, 3, 3)) => (typeof value === "number" ? format(value) : t("unknown"));

/** @param {unknown} value @param {any} interval */
function knownWithInterval(value, [low, high] = []) {
  return typeof low === "number" ? t("figures.interval", { value: known(value), low: known(low), high: known(high) }) : known(value);
}

/** @param {Addendum} addendum */
function addendum({ id, data, created, patients, series, slices, figures, intervals }) {
  const facts = t("model.addendum", { id, created: formatTime(created), patients, series, slices });
  const head = [t("model.point"), t("model.counts"), t("model.sensitivity"), t("model.specificity"), t("model.ratio_positive"), t("model.ratio_negative"), t("model.auc")];
  const tables = LEVELS.map((level) => {
    const name = t(`model.by_${level}`);
    return element("details", level === "series" ? { open: "" } : {}, element("summary", {}, name), wideTable(name, head, addendumRows(figures[level])));
  });
  return [element("h3", {}, data), hint(facts), ...tables, element("p", { class: "hint", lang: "en" }, intervals)];
}

/** @param {Record<string, import("../types.js").LabelFigures>} figures */
function addendumRows(figures) {
  return Object.entries(figures).flatMap(([label, { auc, auc_95_interval: interval, points }]) =>
    Object.entries(points).map(([point, { tp, fp, tn, fn, sensitivity, specificity }]) => {
      const ratios = likelihoodRatios({ tp, fp, tn, fn });
      const shares = [sensitivity, specificity].map(percentWithInterval);
      const likelihoods = [ratios?.positive, ratios?.negative].map(ratioWithInterval);
      return [`${labelName(label)}, ${point}`, `${tp} / ${fp} / ${tn} / ${fn}`, ...shares, ...likelihoods, knownWithInterval(auc, interval)];
    }),
  );
}

/** @param {import("../types.js").RefusedAddendum} refused */
function refusal({ name, why }) {
  return element("p", { class: "warning-note" }, t("model.addendum_refused", { name }), " ", element("span", { lang: "en" }, why));
}

/** @param {Card} card */
function shifts({ metrics }) {
  const found = Object.entries(/** @type {Record<string, any>} */ (metrics.shifted ?? {}));
  if (found.length === 0) return [hint(t("model.no_shifts"))];
  const rows = found.map(([name, shift]) => [
    has(`shift.${name}`) ? t(/** @type {any} */ (`shift.${name}`)) : name,
    known(shift.series_auc?.any),
    knownWithInterval(shift.slice_auc?.any, shift.any_slice_auc_95_interval),
    knownWithInterval(shift.any_slice_auc_lost, shift.any_slice_auc_lost_95_interval),
  ]);
  return [hint(t("model.shifts_hint")), wideTable(t("model.shifts"), [t("model.shift"), t("model.auc_series"), t("model.auc_slice"), t("model.auc_lost")], rows)];
}

/** @param {Card} card */
function thresholds({ thresholds: points, labels }) {
  const columns = Object.entries(points).flatMap(([point, levels]) => LEVELS.map((level) => ({ point, level, levels })));
  const head = columns.map(({ point, level }) => `${point}, ${t(`details.${level}`)}`);
  const cell = (/** @type {string} */ label) => (/** @type {typeof columns[number]} */ { level, levels }) => {
    const basis = `basis.${levels.basis?.[level][label]}`;
    return `${formatThreshold(levels[level][label])}${has(basis) ? ` (${t(/** @type {any} */ (basis))})` : ""}`;
  };
  return wideTable(t("model.thresholds"), [t("report.column_label"), ...head], labels.map((label) => [labelName(label), ...columns.map(cell(label))]));
}

/** @param {Card} card */
function windows({ recipe }) {
  const rows = recipe.windows.map(({ name, center_hu: centre, width_hu: width }) => [name.replaceAll("_", " "), `${centre}`, `${width}`]);
  return wideTable(t("model.windows"), [t("model.window"), t("model.centre"), t("model.width")], rows);
}

/** @param {ServedModel} served */
function training({ card: { training: facts, versions, spacing_mm: spacing, data_terms: terms }, engines }) {
  const list = (/** @type {Record<string, string>} */ pairs) => Object.entries(pairs).map((pair) => pair.join(" ")).join(", ");
  return [
    [t("model.training_data"), facts.data],
    [t("model.training_data_terms"), terms],
    [t("model.training_command"), facts.command],
    [t("model.training_backbone"), facts.backbone],
    [t("model.training_spacing"), spacing?.map((mm) => formatNumber(mm, 2)).join("–")],
    [t("model.training_minutes"), facts.minutes],
    [t("model.training_versions"), list(versions)],
    [t("model.training_engines"), list(engines)],
  ].map(([name, value]) => [`${name}`, `${value || t("unknown")}`]);
}
