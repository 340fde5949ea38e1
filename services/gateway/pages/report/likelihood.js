// Likelihood ratios and predictive values from the counts of an evaluation, with 95 % intervals. Pure functions.
//
// Ratios: log method (Simel et al., J Clin Epidemiol 1991;44:763); where a count is 0, 0.5 is added to all four.
// Predictive values: Bayes' theorem at a known prevalence, applied to the ratio and to both ends of its interval.

/** @typedef {{ tp: number, fp: number, tn: number, fn: number }} Counts */
/** @typedef {import("../types.js").Rate} Rate */

const Z = 1.959964; // 97.5th percentile of the normal distribution

/**
 * How much a result changes the odds of a haemorrhage: of a positive one, sensitivity / (1 - specificity); of a
 * negative one, (1 - sensitivity) / specificity. Null without positive or without negative cases.
 * @param {Counts} counts
 */
export function likelihoodRatios({ tp, fp, tn, fn }) {
  if (tp + fn === 0 || fp + tn === 0) return null;
  const more = Math.min(tp, fp, tn, fn) === 0 ? 0.5 : 0;
  const [ill, healthy] = [tp + fn + 2 * more, fp + tn + 2 * more];
  return { positive: ratio(tp + more, ill, fp + more, healthy), negative: ratio(fn + more, ill, tn + more, healthy) };
}

/** @param {number} some @param {number} ill @param {number} others @param {number} healthy @returns {Rate} */
function ratio(some, ill, others, healthy) {
  const value = some / ill / (others / healthy);
  const reach = Math.exp(Z * Math.sqrt(1 / some - 1 / ill + 1 / others - 1 / healthy));
  return { value, low: value / reach, high: value * reach };
}

/** The share with a haemorrhage among patients with the result. @param {Rate} ratio @param {number} prevalence 0 to 1 @returns {Rate} */
export function afterResult({ value, low, high }, prevalence) {
  const odds = prevalence / (1 - prevalence);
  const share = (/** @type {number} */ one) => (one * odds) / (1 + one * odds);
  return { value: share(value), low: share(low), high: share(high) };
}
