// The measurements of a series that was not assessed, as one sentence. A pure function of the evidence.

import { t } from "../i18n/i18n.js";
import { formatNumber, formatPercent } from "../text.js";

const SHARES = /** @type {const} */ (["bone", "brain", "air", "centre_air", "metal"]);
const LENGTHS = /** @type {const} */ (["thickness", "spacing", "length"]);

/** @typedef {import("../types.js").SeriesEvidence} SeriesEvidence */

/** Empty for reports of older versions, which have no evidence. @param {SeriesEvidence | null | undefined} evidence */
export function describeEvidence(evidence) {
  if (!evidence) return "";
  const parts = [...describePixels(evidence), ...describeGeometry(evidence)];
  return parts.length > 0 ? t("evidence.measured", { parts: parts.join(", ") }) : "";
}

/** @param {SeriesEvidence} evidence */
function describePixels(evidence) {
  const { slices_read: read, constant_slices: constant, air_hu: airHu } = evidence;
  if (read === 0) return [t("evidence.no_pixels")];
  const shares = SHARES.flatMap((name) => (Number.isFinite(evidence[name]) ? [`${t(`evidence.${name}`)} ${formatPercent(evidence[name] ?? 0)}`] : []));
  const slices = t("count.slices", { count: read });
  const air = typeof airHu === "number" ? [t("evidence.air_hu", { hu: Math.round(airHu) })] : [];
  const uniform = constant > 0 ? [t("evidence.uniform", { constant, slices })] : [];
  return [t("evidence.medians", { slices, shares: shares.join(", ") }), ...air, ...uniform];
}

/** @param {SeriesEvidence} evidence */
function describeGeometry(evidence) {
  return LENGTHS.flatMap((name) => {
    const value = evidence[`${name}_mm`];
    return value ? [`${t(`evidence.${name}`)} ${formatNumber(value, 2)}\u00a0mm`] : [];
  });
}
