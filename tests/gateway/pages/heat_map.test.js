import assert from "node:assert/strict";
import { test } from "node:test";

import { contourLines } from "../../../services/gateway/pages/viewer/contour.js";
import { HeatMap, enlarge, paintFields, patientSide } from "../../../services/gateway/pages/viewer/heat_map.js";

const GRID = { rows: 2, columns: 4, cell_height: 256, cell_width: 128 };
const SHAPE = [2, 2, 4, 2];
const MAP = { shape: SHAPE, dtype: "float32", labels: ["epidural", "subdural"], grid: GRID, data: null };
const WHOLE = { top: 0, left: 0, height: 512, width: 512, marks: { left: "R", right: "L", top: "A", bottom: "P" } };
const slice = (more = {}) => ({ index: 1, slab: null, geometry: WHOLE, ...more });

// The value of row, cell and label, so that each is its own: 0.00 to 0.31.
const content = () => Float32Array.from({ length: 32 }, (_, place) => place / 100).buffer;
const near = (actual, expected) => assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} is not ${expected}`);

test("a slice has the row of its index, one of a slab the slab's", () => {
  const map = new HeatMap(MAP, content());
  near(map.cells(slice(), "epidural")[0], 0.16);
  near(map.cells(slice({ index: 9, slab: 0 }), "subdural")[3], 0.07);
  assert.equal(map.cells(slice({ index: 2 }), "epidural"), null);
});

test("any is the largest of all labels", () => {
  near(new HeatMap(MAP, content()).cells(slice(), "any")[0], 0.17);
});

test("a map of another size than its report says is refused", () => {
  assert.throws(() => new HeatMap(MAP, new ArrayBuffer(124)), RangeError);
});

test("the highest cell lies on the slice, never on padding", () => {
  const map = new HeatMap(MAP, content());
  const { value, row, column } = map.highest(slice(), "subdural");
  near(value, 0.31);
  assert.deepEqual([row, column], [384, 448]);
  const padded = slice({ geometry: { ...WHOLE, left: 128, width: 256 } });
  assert.equal(new HeatMap(MAP, content()).highest(padded, "subdural").column, 320);
  assert.equal(new HeatMap(MAP, content()).highest(slice({ geometry: null }), "subdural"), null);
});

test("slices above the threshold are found by their own rows", () => {
  const map = new HeatMap(MAP, content());
  assert.deepEqual(map.slicesAbove([slice({ index: 0 }), slice()], "any", 0.16), [1]);
  assert.deepEqual(map.slicesAbove([slice({ index: 0 }), slice()], "any", 0.1), [0, 1]);
});

test("the patient's side follows the marks, not the picture", () => {
  assert.equal(patientSide(slice(), 100), "right");
  assert.equal(patientSide(slice(), 260), "middle");
  const mirrored = { ...WHOLE, marks: { ...WHOLE.marks, left: "L", right: "R" } };
  assert.equal(patientSide(slice({ geometry: mirrored }), 100), "left");
  assert.equal(patientSide(slice({ geometry: { ...WHOLE, left: 0, width: 150 } }), 100), "left");
  assert.equal(patientSide(slice({ geometry: { ...WHOLE, marks: null } }), 100), null);
  assert.equal(patientSide(slice({ geometry: { ...WHOLE, marks: { left: "A", right: "P" } } }), 100), null);
});

test("interpolation keeps the cells' values at their centres and a ramp a ramp", () => {
  const field = enlarge(Float32Array.from([0, 1, 0, 1]), 2, 2, 8);
  assert.deepEqual([...field.subarray(0, 8)], [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]);
  assert.deepEqual(field.subarray(56), field.subarray(0, 8));
});

test("each pixel has the colour of its highest label, more opaque where higher", () => {
  const pixels = new Uint8ClampedArray(12);
  const layers = [
    { field: Float32Array.from([0.5, 0.6, 0.9]), colour: [1, 2, 3] },
    { field: Float32Array.from([0.1, 0.7, 0.2]), colour: [4, 5, 6] },
  ];
  paintFields(layers, 0.5, pixels);
  assert.deepEqual([...pixels.subarray(0, 4)], [0, 0, 0, 0]);
  assert.deepEqual([...pixels.subarray(4, 7)], [4, 5, 6]);
  assert.deepEqual([...pixels.subarray(8, 11)], [1, 2, 3]);
  assert.ok(pixels[7] < pixels[11]);
});

test("a contour closes around a disc at its radius", () => {
  const [side, radius] = [64, 20];
  const field = Float32Array.from({ length: side * side }, (_, at) =>
    radius - Math.hypot((at % side) + 0.5 - 32, Math.floor(at / side) + 0.5 - 32));
  const lines = contourLines(field, side, 0);
  const ends = new Map();
  for (const [x, y, toX, toY] of lines) {
    assert.ok(Math.abs(Math.hypot(x - 32, y - 32) - radius) < 0.05);
    for (const end of [`${x.toFixed(3)} ${y.toFixed(3)}`, `${toX.toFixed(3)} ${toY.toFixed(3)}`]) ends.set(end, (ends.get(end) ?? 0) + 1);
  }
  assert.ok(lines.length > 100);
  assert.ok([...ends.values()].every((count) => count === 2), "each end belongs to two lines");
});

test("two opposite corners are joined where the mean is above the level", () => {
  const separate = contourLines(Float32Array.from([1, 0, 0, 1]), 2, 0.6);
  const joined = contourLines(Float32Array.from([1, 0, 0, 1]), 2, 0.4);
  const length = ([x, y, toX, toY]) => Math.hypot(toX - x, toY - y);
  assert.deepEqual([separate.length, joined.length], [2, 2]);
  // Separate lines cut off the high corners; joined ones the low corners.
  near(length(separate[0]), 0.4 * Math.SQRT2);
  near(length(joined[0]), 0.4 * Math.SQRT2);
  assert.notDeepEqual(separate, joined);
});
