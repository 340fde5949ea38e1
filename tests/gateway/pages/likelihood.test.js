// The table's ratios and intervals are those of `scipy.stats.contingency.relative_risk`, which has the same log method.

import assert from "node:assert/strict";
import { test } from "node:test";

import { afterResult, likelihoodRatios } from "../../../services/gateway/pages/report/likelihood.js";

const CASES = [
  { counts: { tp: 45, fp: 20, tn: 180, fn: 5 }, positive: [9, 5.8786, 13.7789], negative: [0.1111, 0.0483, 0.2555] },
  { counts: { tp: 8, fp: 3, tn: 97, fn: 12 }, positive: [13.3333, 3.87, 45.9371], negative: [0.6186, 0.4318, 0.8861] },
];

const rounded = (estimate) => [estimate.value, estimate.low, estimate.high].map((one) => Number(one.toFixed(4)));

for (const { counts, positive, negative } of CASES) {
  test(`likelihood ratios of ${JSON.stringify(counts)}`, () => {
    const found = likelihoodRatios(counts);
    assert.deepEqual(rounded(found.positive), positive);
    assert.deepEqual(rounded(found.negative), negative);
  });
}

test("a count of 0 gives finite ratios: 0.5 is added to all four counts", () => {
  const { positive, negative } = likelihoodRatios({ tp: 30, fp: 0, tn: 40, fn: 0 });
  assert.equal(Number(positive.value.toFixed(4)), Number((30.5 / 31 / (0.5 / 41)).toFixed(4)));
  assert.ok([positive.high, negative.high].every(Number.isFinite));
  assert.ok(negative.low > 0);
});

test("ratios are unknown without positive or without negative cases", () => {
  assert.equal(likelihoodRatios({ tp: 0, fp: 2, tn: 5, fn: 0 }), null);
  assert.equal(likelihoodRatios({ tp: 3, fp: 0, tn: 0, fn: 1 }), null);
});

test("predictive values at the measured prevalence are the shares of the table", () => {
  const { positive, negative } = likelihoodRatios({ tp: 45, fp: 20, tn: 180, fn: 5 });
  assert.equal(Number(afterResult(positive, 0.2).value.toFixed(6)), Number((45 / 65).toFixed(6)));
  assert.equal(Number(afterResult(negative, 0.2).value.toFixed(6)), Number((5 / 185).toFixed(6)));
});

test("a predictive value's interval holds its value", () => {
  const { value, low, high } = afterResult({ value: 9, low: 5, high: 14 }, 0.1);
  assert.ok(low < value && value < high && high < 1);
});
