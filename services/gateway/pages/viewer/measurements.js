// Measurements of a slice: lengths, and Hounsfield units in an ellipse. Pure.

/** @typedef {import("./png.js").SliceImage} SliceImage */
/** @typedef {{ x: number, y: number }} Point pixels of the slice; pixel i covers i to i + 1 */
/** @typedef {{ columnMm: number | null, rowMm: number | null }} Spacing of pixels along a row and down a column */
/** @typedef {{ kind: "ruler" | "ellipse", from: Point, to: Point }} Measurement ellipse: opposite corners of its box */

/** Length in mm, or in pixels where the header states no spacing. @param {Point} from @param {Point} to @param {Spacing} spacing */
export function lengthOf(from, to, { columnMm, rowMm }) {
  const known = Boolean(columnMm && rowMm);
  return { value: Math.hypot((to.x - from.x) * (columnMm || 1), (to.y - from.y) * (rowMm || 1)), unit: known ? "mm" : "px" };
}

/**
 * Statistics of the pixels whose centres lie in the ellipse; SD of the population. Null where there are none.
 * @param {SliceImage} image @param {Point} from @param {Point} to
 */
export function ellipseStatistics({ width, height, hounsfield }, from, to) {
  const { left, right, top, bottom } = box(from, to);
  const values = [];
  for (let y = Math.max(Math.floor(top), 0); y < Math.min(bottom, height); y += 1) {
    for (let x = Math.max(Math.floor(left), 0); x < Math.min(right, width); x += 1) {
      const [across, down] = [(2 * x + 1 - left - right) / (right - left), (2 * y + 1 - top - bottom) / (bottom - top)];
      if (across * across + down * down <= 1 && hounsfield) values.push(hounsfield[y * width + x]);
    }
  }
  return values.length > 0 ? statistics(values) : null;
}

/** @param {number[]} values */
function statistics(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  const [min, max] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  return { pixels: values.length, mean, deviation, min, max };
}

/** Area of the ellipse in mm², or in pixels. @param {Point} from @param {Point} to @param {Spacing} spacing */
export function ellipseArea(from, to, { columnMm, rowMm }) {
  const { left, right, top, bottom } = box(from, to);
  const pixels = (Math.PI / 4) * (right - left) * (bottom - top);
  return columnMm && rowMm ? { value: pixels * columnMm * rowMm, unit: "mm²" } : { value: pixels, unit: "px" };
}

/** @param {Point} from @param {Point} to */
function box(from, to) {
  return { left: Math.min(from.x, to.x), right: Math.max(from.x, to.x), top: Math.min(from.y, to.y), bottom: Math.max(from.y, to.y) };
}
