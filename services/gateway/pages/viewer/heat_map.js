// The network's blood map: the share of each subtype's blood in each cell of a grid over the 512 x 512 picture.
// Pure: no document, no canvas.

/** @typedef {import("../types.js").BloodMap} BloodMap */
/** @typedef {import("../types.js").ReportSlice} ReportSlice */
/** @typedef {{ value: number, row: number, column: number }} Highest value, and its place in the picture */

export const PICTURE_SIDE = 512;

export class HeatMap {
  #values;
  #shape;
  /** @type {string[]} */
  labels;
  /** @type {Map<string, Highest | null>} */
  #highest = new Map();

  /** @param {BloodMap} map of the report @param {ArrayBuffer} content little-endian float32, row-major */
  constructor({ shape, labels }, content) {
    const size = 4 * shape.reduce((product, length) => product * length, 1);
    if (content.byteLength !== size) throw new RangeError(`map has ${content.byteLength} bytes; its report says ${size}`);
    this.#values = new Float32Array(content);
    this.#shape = shape;
    this.labels = [...labels];
  }

  get rows() {
    return this.#shape[1];
  }

  get columns() {
    return this.#shape[2];
  }

  /**
   * A label's values in the cells of a slice, row-major; `any` is the largest of all labels. Null without a row.
   * @param {ReportSlice} slice @param {string} label
   */
  cells({ index, slab }, label) {
    const row = slab ?? index;
    if (row >= this.#shape[0]) return null;
    const [count, labels] = [this.rows * this.columns, this.labels.length];
    const values = this.#values.subarray(row * count * labels, (row + 1) * count * labels);
    const chosen = label === "any" ? this.labels.map((_, number) => number) : [this.labels.indexOf(label)];
    return Float32Array.from({ length: count }, (_, cell) =>
      chosen.reduce((highest, number) => Math.max(highest, values[cell * labels + number]), 0),
    );
  }

  /**
   * The highest cell whose centre lies on the slice, not on padding.
   * @param {ReportSlice} slice @param {string} label @returns {Highest | null}
   */
  highest(slice, label) {
    const key = `${slice.index} ${label}`;
    if (!this.#highest.has(key)) this.#highest.set(key, this.#findHighest(slice, label));
    return this.#highest.get(key) ?? null;
  }

  /** @param {ReportSlice} slice @param {string} label */
  #findHighest(slice, label) {
    const cells = this.cells(slice, label);
    /** @type {Highest | null} */
    let found = null;
    cells?.forEach((value, cell) => {
      const row = ((Math.floor(cell / this.columns) + 0.5) * PICTURE_SIDE) / this.rows;
      const column = (((cell % this.columns) + 0.5) * PICTURE_SIDE) / this.columns;
      if (value > (found?.value ?? -1) && isOnSlice(slice, row, column)) found = { value, row, column };
    });
    return found;
  }

  /**
   * Indexes of the slices where the label exceeds the threshold.
   * @param {ReportSlice[]} slices @param {string} label @param {number} threshold
   */
  slicesAbove(slices, label, threshold) {
    return slices.filter((slice) => (this.highest(slice, label)?.value ?? 0) > threshold).map(({ index }) => index);
  }
}

/** @param {ReportSlice} slice @param {number} row @param {number} column of the picture */
function isOnSlice({ geometry }, row, column) {
  if (!geometry) return false;
  const { top, left, height, width } = geometry;
  return row >= top && row < top + height && column >= left && column < left + width;
}

/**
 * The patient's side of a place in the picture: a middle strip of a tenth of the slice's width is `middle`.
 * Null where the picture's sides are not the patient's left and right, or unknown.
 * @param {ReportSlice} slice @param {number} column of the picture @returns {"left" | "right" | "middle" | null}
 */
export function patientSide({ geometry }, column) {
  const marks = /** @type {any} */ (geometry)?.marks;
  if (!geometry || !marks || !/^(RL|LR)$/.test(marks.left + marks.right)) return null;
  const place = (column - geometry.left) / geometry.width - 0.5;
  if (Math.abs(place) < 0.05) return "middle";
  return (place < 0 ? marks.left : marks.right) === "R" ? "right" : "left";
}

/**
 * Interpolates cells bilinearly at the centres of side x side pixels; beyond the outermost centres values stay.
 * As `to_source_grid` of the DICOM results does, so outlines agree with the segmentation.
 * @param {Float32Array} cells @param {number} rows @param {number} columns @param {number} side
 */
export function enlarge(cells, rows, columns, side) {
  const [across, down] = [weights(columns, side), weights(rows, side)];
  const wide = new Float32Array(rows * side);
  for (let row = 0; row < rows; row += 1) {
    for (let x = 0; x < side; x += 1) {
      const { lower, upper, share } = across[x];
      wide[row * side + x] = cells[row * columns + lower] * (1 - share) + cells[row * columns + upper] * share;
    }
  }
  const field = new Float32Array(side * side);
  down.forEach(({ lower, upper, share }, y) => {
    for (let x = 0; x < side; x += 1) {
      field[y * side + x] = wide[lower * side + x] * (1 - share) + wide[upper * side + x] * share;
    }
  });
  return field;
}

/** @param {number} cells @param {number} pixels */
function weights(cells, pixels) {
  return Array.from({ length: pixels }, (_, pixel) => {
    const place = Math.min(Math.max(((pixel + 0.5) * cells) / pixels - 0.5, 0), cells - 1);
    const lower = Math.floor(place);
    return { lower, upper: Math.min(lower + 1, cells - 1), share: place - lower };
  });
}

/**
 * Paints fields of labels: each pixel in the colour of its highest label, the more opaque the higher the value.
 * @param {{ field: Float32Array, colour: number[] }[]} layers @param {number} threshold
 * @param {Uint8ClampedArray} pixels RGBA, all zero
 */
export function paintFields(layers, threshold, pixels) {
  for (let pixel = 0; pixel < pixels.length / 4; pixel += 1) {
    let highest = threshold;
    for (const { field, colour } of layers) {
      if (field[pixel] <= highest) continue;
      highest = field[pixel];
      pixels.set(colour, 4 * pixel);
    }
    if (highest > threshold) pixels[4 * pixel + 3] = 255 * tintOpacity(highest, threshold);
  }
}

// Rises from 0.4 at the threshold, so that its edge is seen, to 1.
/** @param {number} value @param {number} threshold */
const tintOpacity = (value, threshold) => Math.min(1, 0.4 + (0.6 * (value - threshold)) / (1 - threshold));
