// Formats numbers, times and labels in the reader's language.

import { language, t } from "./i18n/i18n.js";

const UNITS = ["bytes", "kB", "MB", "GB"];

/** @param {number} count */
export function formatBytes(count) {
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${formatNumber(value, unit === 0 || value >= 100 ? 0 : 1, unit === 0 || value >= 100 ? 0 : 1)} ${UNITS[unit]}`;
}

/** With at most, and at least, some decimals. @param {number} value @param {number} most */
export const formatNumber = (value, most, least = 0) =>
  value.toLocaleString(language, { maximumFractionDigits: most, minimumFractionDigits: least });

/** @param {number} value */
export const formatMilliseconds = (value) => `${formatNumber(value, 1)} ms`;

/** @param {number} fraction */
export const formatPercent = (fraction) => `${formatNumber(100 * fraction, 1)}\u00a0%`;

/** @param {string} created UTC, ISO 8601 */
export const formatTime = (created) => created.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");

/** @param {number} value */
export const formatProbability = (value) => formatNumber(value, 4, 4);

/** At most four digits, without trailing zeros: 0.3127, 0.5. @param {number} value */
export const formatThreshold = (value) => formatNumber(value, 4);

/** @param {any} label */
export const labelName = (label) => t(/** @type {any} */ (`label.${label}`));

/** @param {string[]} labels */
export const labelNames = (labels) => labels.map(labelName).join(", ");
