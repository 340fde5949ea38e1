// Where a label lies, in words: its slices and its side. Pure.

import { t } from "../i18n/i18n.js";

/** Empty for reports of older versions, and without a blood map. @param {import("../types.js").Location | undefined} location */
export function describePlace(location) {
  if (!location) return "";
  const { first, last, side } = location;
  const slices = t("place.slices", { count: last - first + 1, first: first + 1, last: last + 1 });
  return `: ${slices}${side ? `, ${t(`place.${side}`)}` : ""}`;
}
