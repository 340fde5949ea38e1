// The model card as a page. It states what the card holds; what the card lacks is said to be unknown.

import { element } from "../dom.js";
import { has, t } from "../i18n/i18n.js";
import { wideTable } from "../report/data_table.js";
import { definitionList } from "../report/details.js";
import { saveFile } from "../report/downloads.js";
import { formatRatio, withInterval } from "../report/figures.js";
import { likelihoodRatios } from "../report/likelihood.js";
import { formatNumber, formatPercent, formatThreshold, formatTime, labelName } from "../text.js";
import { createAgreement } from "./agreement.js";
import { servedModel } from "./served_model.js";

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

/** @param {any} served the answer of `GET /v1/models` */
function sections(served) {
  const { card, addenda, addenda_refused: refused } = served;
  return [
    overview(served),
    section("model.limits", list(card.limits_of_use)),
    ...LEVELS.map((level) => section(`model.performance_${level}`, ...performance(card, level))),
    section("model.addenda", ...addendaParts(addenda ?? [], refused ?? [])),
    section("model.agreement", createAgreement()),
    section("model.shifts", ...shifts(card)),
    section("model.thresholds", ...thresholds(card)),
    section("model.windows", windows(card)),
    section("model.training", definitionList(trainingFacts(served))),
  ];
}

/** @param {any} key @param {...(Node | string)} content */
const section = (key, ...content) => element("section", { class: "card" }, element("h2", {}, t(key)), ...content);

/** @param {string} text */
const hint = (text) => element("p", { class: "hint" }, text);

/** The card is in English. @param {readonly string[]} texts */
function list(texts) {
  if (!texts?.length) return hint(t("unknown"));
  return element("ul", { class: "plain", lang: "en" }, ...texts.map((text) => element("li", {}, text)));
}

/** @param {any} served */
function overview({ card, sha256, card_measured_on_patients: measured }) {
  const patients = measured ? t("model.on_patients") : t("model.not_on_patients");
  const download = element("button", { type: "button" }, t("model.download"));
  const file = () => new Blob([JSON.stringify(card, null, 2)], { type: "application/json" });
  download.addEventListener("click", () => saveFile(file(), `card-${card.name}-${sha256.slice(0, 12)}.json`));
  return element(
    "section",
    { class: "card" },
    element("h2", { tabindex: "-1" }, t("model.title", { name: card.name })),
    element("p", { lang: "en" }, card.description),
    element("p", { class: "warning-note" }, element("strong", {}, patients)),
    definitionList([
      [t("model.learnt_from"), card.training?.data ?? card.data_terms ?? t("unknown")],
      [t("model.measured_on"), card.metrics?.data ?? t("unknown")],
      [t("details.card"), sha256],
      [t("details.created"), card.created ? formatTime(card.created) : t("unknown")],
      [t("model.licence"), card.licence ?? t("unknown")],
    ]),
    element("p", { class: "row" }, download, element("a", { href: "v1/models" }, t("model.raw"))),
  );
}

/** @param {any} card @param {typeof LEVELS[number]} level */
function performance(card, level) {
  const metrics = card.metrics?.[level];
  if (!metrics) return [hint(t("unknown"))];
  const points = Object.keys(card.thresholds);
  const head = [t("report.column_label"), t("model.cases"), t("model.auc"), ...points.map((point) => t("model.rates", { point }))];
  const rows = card.labels.map((/** @type {string} */ label) => performanceRow(label, metrics[label] ?? {}, points));
  const errors = [t("report.column_label"), t("model.calibration_error"), t("model.chance_error"), t("model.log_loss")];
  const calibration = card.labels.map((/** @type {string} */ label) => {
    const { calibration_error: error, chance_calibration_error: chance, log_loss: loss } = metrics[label] ?? {};
    return [labelName(label), decimal(error), decimal(chance), decimal(loss)];
  });
  return [
    hint(t("model.data", { data: card.metrics.data ?? t("unknown"), studies: card.metrics.studies ?? t("unknown"), slices: card.metrics.slices ?? t("unknown") })),
    wideTable(t(`model.performance_${level}`), head, rows),
    element("h3", {}, t("model.calibration")),
    wideTable(t("model.calibration"), errors, calibration),
  ];
}

/** @param {string} label @param {any} metrics @param {string[]} points */
function performanceRow(label, { positives, negatives, auc, auc_95_interval: interval, ...rates }, points) {
  const cases = Number.isInteger(positives) ? t("model.positives_of", { positives, cases: positives + negatives }) : t("unknown");
  const pairs = points.map((point) => `${share(rates[point]?.sensitivity)} / ${share(rates[point]?.specificity)}`);
  return [labelName(label), cases, decimalWithInterval(auc, interval), ...pairs];
}

/** @param {unknown} value */
const share = (value) => (typeof value === "number" ? formatPercent(value) : t("unknown"));

/** @param {unknown} value */
const decimal = (value) => (typeof value === "number" ? formatNumber(value, 3, 3) : t("unknown"));

/** @param {unknown} value @param {any} interval */
function decimalWithInterval(value, [low, high] = []) {
  if (typeof value !== "number" || typeof low !== "number") return decimal(value);
  return t("figures.interval", { value: decimal(value), low: decimal(low), high: decimal(high) });
}

/** @param {any[]} addenda @param {{ name: string, why: string }[]} refused */
function addendaParts(addenda, refused) {
  const none = addenda.length === 0 ? [hint(t("model.no_addenda"))] : [];
  const warnings = refused.map(({ name, why }) => element("p", { class: "warning-note" }, t("model.addendum_refused", { name }), " ", element("span", { lang: "en" }, why)));
  return [...none, ...addenda.flatMap(addendumParts), ...warnings];
}

/** @param {any} addendum */
function addendumParts({ id, data, created, patients, series, slices, figures, intervals }) {
  const facts = hint(t("model.addendum", { id, created: formatTime(created), patients, series, slices }));
  return [element("h3", {}, data), facts, ...LEVELS.map((level) => addendumTable(level, figures[level])), element("p", { class: "hint", lang: "en" }, intervals)];
}

/** @param {typeof LEVELS[number]} level @param {Record<string, any>} figures */
function addendumTable(level, figures) {
  const rows = Object.entries(figures).flatMap(([label, { auc, auc_95_interval: interval, points }]) =>
    Object.entries(points).map(([point, counts]) => addendumRow(`${labelName(label)}, ${point}`, counts, decimalWithInterval(auc, interval))),
  );
  const head = ["point", "counts", "sensitivity", "specificity", "ratio_positive", "ratio_negative", "auc"].map((key) => t(/** @type {any} */ (`model.${key}`)));
  return element("details", level === "series" ? { open: "" } : {}, element("summary", {}, t(`model.by_${level}`)), wideTable(t(`model.by_${level}`), head, rows));
}

/** @param {string} name @param {any} counts @param {string} auc */
function addendumRow(name, counts, auc) {
  const ratios = likelihoodRatios(counts);
  const rates = [counts.sensitivity, counts.specificity].map((rate) => (rate ? withInterval(rate, formatPercent) : t("unknown")));
  const likelihoods = [ratios?.positive, ratios?.negative].map((ratio) => (ratio ? withInterval(ratio, formatRatio) : t("unknown")));
  return [name, `${counts.tp} / ${counts.fp} / ${counts.tn} / ${counts.fn}`, ...rates, ...likelihoods, auc];
}

/** @param {any} card */
function shifts(card) {
  const found = Object.entries(card.metrics?.shifted ?? {});
  if (found.length === 0) return [hint(t("model.no_shifts"))];
  const rows = found.map(([name, shift]) => {
    const lost = decimalWithInterval(shift.any_slice_auc_lost, shift.any_slice_auc_lost_95_interval);
    const title = has(`shift.${name}`) ? t(/** @type {any} */ (`shift.${name}`)) : name;
    return [title, decimal(shift.series_auc?.any), decimalWithInterval(shift.slice_auc?.any, shift.any_slice_auc_95_interval), lost];
  });
  const head = ["shift", "auc_series", "auc_slice", "auc_lost"].map((key) => t(/** @type {any} */ (`model.${key}`)));
  return [hint(t("model.shifts_hint")), wideTable(t("model.shifts"), head, rows)];
}

/** @param {any} card */
function thresholds({ thresholds: points, labels }) {
  const columns = Object.entries(points).flatMap(([point, levels]) => LEVELS.map((level) => ({ point, level, levels })));
  const head = [t("report.column_label"), ...columns.map(({ point, level }) => `${point}, ${t(`details.${level}`)}`)];
  const rows = labels.map((/** @type {string} */ label) => [
    labelName(label),
    ...columns.map(({ level, levels }) => {
      const basis = levels.basis?.[level]?.[label];
      return `${formatThreshold(levels[level][label])}${basis && basis !== "goal_met" ? ` (${t(/** @type {any} */ (`basis.${basis}`))})` : ""}`;
    }),
  ]);
  return [hint(t("report.rule")), wideTable(t("model.thresholds"), head, rows)];
}

/** @param {any} card */
function windows({ recipe }) {
  const rows = recipe.windows.map((/** @type {any} */ { name, center_hu: centre, width_hu: width }) => [name.replaceAll("_", " "), `${centre}`, `${width}`]);
  return wideTable(t("model.windows"), [t("model.window"), t("model.centre"), t("model.width")], rows);
}

/** @param {any} served */
function trainingFacts({ card, engines }) {
  const { training = {}, versions = {}, spacing_mm: spacing } = card;
  const mm = (/** @type {number} */ value) => formatNumber(value, 2);
  const facts = {
    data: training.data,
    data_terms: card.data_terms,
    command: training.command,
    backbone: training.backbone,
    spacing: spacing ? `${mm(spacing[0])}–${mm(spacing[1])} mm` : undefined,
    ancestors: training.ancestors ? String(training.ancestors.length) : undefined,
    minutes: training.minutes === undefined ? undefined : formatNumber(training.minutes, 0),
    versions: Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", "),
    engines: Object.entries(engines ?? {}).map(([network, engine]) => `${network}: ${engine}`).join(", "),
  };
  return Object.entries(facts).map(([key, value]) => [t(/** @type {any} */ (`model.training_${key}`)), value || t("unknown")]);
}
