import assert from "node:assert/strict";
import { test } from "node:test";

import { ellipseArea, ellipseStatistics, lengthOf } from "../../../services/gateway/pages/viewer/measurements.js";

const UNKNOWN = { columnMm: null, rowMm: null };
const ANISOTROPIC = { columnMm: 0.5, rowMm: 2 };
const image = { width: 4, height: 4, rgb: null, hounsfield: Int16Array.from({ length: 16 }, (_, at) => at * 10) };

test("a length counts each axis in its own millimetres", () => {
  assert.deepEqual(lengthOf({ x: 0, y: 0 }, { x: 6, y: 2 }, ANISOTROPIC), { value: 5, unit: "mm" });
});

test("a length is in pixels where the header states no spacing", () => {
  assert.deepEqual(lengthOf({ x: 1, y: 1 }, { x: 4, y: 5 }, UNKNOWN), { value: 5, unit: "px" });
});

test("an ellipse measures the pixels whose centres it holds", () => {
  const { pixels, mean, deviation, min, max } = ellipseStatistics(image, { x: 3, y: 3 }, { x: 1, y: 1 });
  assert.deepEqual([pixels, mean, min, max], [4, 75, 50, 100]); // 50, 60, 90, 100
  assert.ok(Math.abs(deviation - Math.sqrt(425)) < 1e-9);
});

test("beyond the slice there is nothing to measure", () => {
  assert.equal(ellipseStatistics(image, { x: 5, y: 5 }, { x: 8, y: 8 }), null);
  assert.equal(ellipseStatistics(image, { x: -4, y: -4 }, { x: 8, y: 8 }).pixels, 16);
});

test("an area is in square millimetres, or in pixels", () => {
  assert.equal(ellipseArea({ x: 0, y: 0 }, { x: 4, y: 2 }, ANISOTROPIC).value.toFixed(3), (Math.PI * 2).toFixed(3));
  assert.equal(ellipseArea({ x: 0, y: 0 }, { x: 4, y: 2 }, UNKNOWN).unit, "px");
});
