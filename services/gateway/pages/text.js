// Numbers as people read them.

const UNITS = ["bytes", "kB", "MB", "GB"];

export function bytes(count) {
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

export const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;

export const milliseconds = (value) => `${value.toLocaleString("en", { maximumFractionDigits: 1 })} ms`;

export const percent = (share) => `${(100 * share).toLocaleString("en", { maximumFractionDigits: 1 })}\u00a0%`;

export const moment = (created) => created.replace("T", " ").replace(/\.\d+Z$/, " UTC");

export const probability = (value) => value.toFixed(4);

// Thresholds are often chosen by data, 0.3127 say; 0.5 needs no zeros.
export const threshold = (value) => String(Number(value.toFixed(4)));

export const listed = (labels) => labels.map((label) => label.replaceAll("_", " ")).join(", ");
