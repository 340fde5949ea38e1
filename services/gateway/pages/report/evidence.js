// The measurements of a series that was not assessed, as one sentence. A pure function of the evidence.

import { t } from "../i18n/i18n.js";
import { formatNumber, formatPercent } from "../text.js";

const SHARES = /** @type {const} */ (["bone", "brain", "air", "centre_air", "metal"]);
const LENGTHS = /** @type {const} */ (["thickness", "spacing", "length"]);

/** Empty for reports of older versions, which have no evidence. @param {any} evidence SeriesEvidence */
export function describeEvidence(evidence) {
  if (!evidence) return "";
  const parts = [...describePixels(evidence), ...describeGeometry(evidence)];
  return parts.length > 0 ? t("evidence.measured", { parts: parts.join(", ") }) : "";
}

/** @param {any} evidence */
function describePixels(evidence) {
  const { slices_read: read, constant_slices: constant, air_hu: airHu } = evidence;
  if (read === 0) return [t("evidence.no_pixels")];
  const measured = SHARES.filter((name) => Number.isFinite(evidence[name]));
  const shares = measured.map((name) => `${t(`evidence.${name}`)} ${formatPercent(evidence[name])}`);
  const slices = t("count.slices", { count: read });
  const air = Number.isFinite(airHu) ? [t("evidence.air_hu", { hu: Math.round(airHu) })] : [];
  const uniform = constant > 0 ? [t("evidence.uniform", { constant, slices })] : [];
  return [t("evidence.medians", { slices, shares: shares.join(", ") }), ...air, ...uniform];
}

/** @param {any} evidence */
function describeGeometry(evidence) {
  return LENGTHS.filter((name) => evidence[`${name}_mm`]).map(
    (name) => `${t(`evidence.${name}`)} ${formatNumber(evidence[`${name}_mm`], 2)}\u00a0mm`,
  );
}
