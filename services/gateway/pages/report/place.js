// Where a label lies, in words: its slices and its side. Pure.

import { has, t } from "../i18n/i18n.js";

/**
 * Empty for reports of older versions, and where nothing is known of the place.
 * @param {{ first: number, last: number, side: string | null } | null | undefined} location
 */
export function describePlace(location) {
  if (!location) return "";
  const { first, last, side } = location;
  const slices = t("place.slices", { count: last - first + 1, first: first + 1, last: last + 1 });
  const key = /** @type {any} */ (`place.${side}`);
  return `: ${slices}${has(key) ? `, ${t(key)}` : ""}`;
}
