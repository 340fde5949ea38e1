// Formats numbers, times and labels.

const UNITS = ["bytes", "kB", "MB", "GB"];

export function formatBytes(count) {
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function pluralize(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

export const formatSeconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;

export const formatMilliseconds = (value) => `${value.toLocaleString("en", { maximumFractionDigits: 1 })} ms`;

export const formatPercent = (fraction) => `${(100 * fraction).toLocaleString("en", { maximumFractionDigits: 1 })}\u00a0%`;

export const formatTime = (created) => created.replace("T", " ").replace(/\.\d+Z$/, " UTC");

export const formatProbability = (value) => value.toFixed(4);

// At most four digits, without trailing zeros: 0.3127, 0.5.
export const formatThreshold = (value) => String(Number(value.toFixed(4)));

export const joinLabels = (labels) => labels.map((label) => label.replaceAll("_", " ")).join(", ");
