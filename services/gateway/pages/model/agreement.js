// Readers' agreement with the predictions over time, as a chart and as a table.

import { element, svgElement } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { getJson } from "../request.js";
import { wideTable } from "../report/data_table.js";
import { percentWithInterval } from "../report/figures.js";

const OPINIONS = /** @type {const} */ (["agree", "uncertain", "disagree"]);
const GAP = 0.2;

/** @typedef {import("../types.js").AgreementPeriod} Period */

export function createAgreement() {
  const box = element("div", { class: "agreement" }, element("p", { class: "hint" }, t("model.loading")));
  getJson("v1/feedback/agreement").then(
    ({ periods }) => box.replaceChildren(...content(periods)),
    ({ title }) => box.replaceChildren(element("p", { class: "hint" }, t("model.no_agreement", { title }))),
  );
  return box;
}

/** @param {Period[]} periods oldest first */
function content(periods) {
  if (periods.length === 0) return [element("p", { class: "hint" }, t("model.no_feedback"))];
  const head = [t("model.period"), ...OPINIONS.map((opinion) => t(`feedback.${opinion}`)), t("model.share_agree")];
  const rows = periods.map((period) => [period.week, ...OPINIONS.map((opinion) => `${period[opinion]}`), percentWithInterval(period.rate)]);
  const labels = { role: "img", "aria-label": t("model.agreement_chart") };
  const chart = svgElement("svg", { viewBox: `0 0 ${periods.length} 1`, preserveAspectRatio: "none", ...labels }, ...periods.flatMap(bars));
  return [chart, element("p", { class: "hint" }, t("model.agreement_legend")), wideTable(t("model.agreement"), head, rows)];
}

/** @param {Period} period */
const total = ({ agree, disagree, uncertain }) => agree + disagree + uncertain;

/** The shares of the opinions from the bottom up. @param {Period} period @param {number} column */
function bars(period, column) {
  let top = 1;
  return OPINIONS.map((opinion) => {
    const height = period[opinion] / total(period);
    top -= height;
    return svgElement("rect", { class: opinion, x: column + GAP / 2, y: top, width: 1 - GAP, height });
  });
}
