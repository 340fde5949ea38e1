// The measurements of a series that was not assessed, as one sentence. A pure function of the evidence.

import { t } from "../i18n/i18n.js";
import { formatNumber, formatPercent } from "../text.js";

const SHARES = /** @type {const} */ (["bone", "brain", "air", "centre_air", "metal"]);
const LENGTHS = /** @type {const} */ (["thickness", "spacing", "length"]);

/** Empty for reports of older versions, which have no evidence. @param {import("../types.js").SeriesEvidence | null | undefined} evidence */
export function describeEvidence(evidence) {
  if (!evidence) return "";
  const { slices_read: read, constant_slices: constant, air_hu: air } = evidence;
  const slices = t("count.slices", { count: read });
  const shares = SHARES.map((name) => ({ name, share: evidence[name] })).filter(({ share }) => typeof share === "number");
  const listed = shares.map(({ name, share }) => `${t(`evidence.${name}`)} ${formatPercent(share ?? 0)}`).join(", ");
  const parts = [
    read === 0 ? t("evidence.no_pixels") : t("evidence.medians", { slices, shares: listed }),
    read > 0 && typeof air === "number" && t("evidence.air_hu", { hu: Math.round(air) }),
    read > 0 && constant > 0 && t("evidence.uniform", { constant, slices }),
    ...LENGTHS.map((name) => evidence[`${name}_mm`] && `${t(`evidence.${name}`)} ${formatNumber(evidence[`${name}_mm`] ?? 0, 2)}\u00a0mm`),
  ];
  return t("evidence.measured", { parts: parts.filter(Boolean).join(", ") });
}
