// The network's blood map: the share of each subtype's blood in each cell of a grid over the 512 x 512 picture. Pure.

/** @typedef {import("../types.js").BloodMap} BloodMap */
/** @typedef {import("../types.js").ReportSlice} ReportSlice */
/** `row` and `column` of the picture. @typedef {{ value: number, row: number, column: number }} Highest */

export const PICTURE_SIDE = 512;

export class HeatMap {
  #values;
  #count;
  /** @type {Map<string, Highest | null>} */
  #highest = new Map();

  /** @param {BloodMap} map of the report @param {ArrayBuffer} content little-endian float32, row-major */
  constructor({ shape, labels }, content) {
    const size = 4 * shape.reduce((product, length) => product * length, 1);
    if (content.byteLength !== size) throw new RangeError(`map has ${content.byteLength} bytes; its report says ${size}`);
    this.#values = new Float32Array(content);
    this.#count = shape[0];
    this.rows = shape[1];
    this.columns = shape[2];
    /** @type {string[]} */
    this.labels = labels;
  }

  /** Values of a label in the cells of a slice, row-major; `any` is the largest of all. Null without a row. @param {ReportSlice} slice @param {string} label */
  cells({ index, slab }, label) {
    const [row, size, labels] = [slab ?? index, this.rows * this.columns, this.labels.length];
    if (row >= this.#count) return null;
    const values = this.#values.subarray(row * size * labels, (row + 1) * size * labels);
    const chosen = label === "any" ? [...this.labels.keys()] : [this.labels.indexOf(label)];
    return Float32Array.from({ length: size }, (_, cell) => chosen.reduce((most, number) => Math.max(most, values[cell * labels + number]), 0));
  }

  /** The highest cell whose centre lies on the slice, not on padding. @param {ReportSlice} slice @param {string} label */
  highest(slice, label) {
    const key = `${slice.index} ${label}`;
    if (!this.#highest.has(key)) this.#highest.set(key, this.#findHighest(slice, label));
    return this.#highest.get(key) ?? null;
  }

  /** @param {ReportSlice} slice @param {string} label */
  #findHighest(slice, label) {
    /** @type {Highest | null} */
    let found = null;
    this.cells(slice, label)?.forEach((value, cell) => {
      const row = ((Math.floor(cell / this.columns) + 0.5) * PICTURE_SIDE) / this.rows;
      const column = (((cell % this.columns) + 0.5) * PICTURE_SIDE) / this.columns;
      if (value > (found?.value ?? -1) && isOnSlice(slice, row, column)) found = { value, row, column };
    });
    return found;
  }

  /** Indexes of the slices where the label exceeds the threshold. @param {ReportSlice[]} slices @param {string} label @param {number} threshold */
  slicesAbove(slices, label, threshold) {
    return slices.filter((slice) => (this.highest(slice, label)?.value ?? 0) > threshold).map(({ index }) => index);
  }
}

/** @param {ReportSlice} slice @param {number} row @param {number} column of the picture */
const isOnSlice = ({ geometry }, row, column) =>
  !!geometry && row >= geometry.top && row < geometry.top + geometry.height && column >= geometry.left && column < geometry.left + geometry.width;

/**
 * The patient's side of a place; `middle` is a strip of a tenth of the slice's width. Null where the picture's sides are not left and right.
 * @param {ReportSlice} slice @param {number} column of the picture
 */
export function patientSide({ geometry }, column) {
  const marks = geometry?.marks;
  if (!geometry || !marks || !/^(RL|LR)$/.test(marks.left + marks.right)) return null;
  const place = (column - geometry.left) / geometry.width - 0.5;
  if (Math.abs(place) < 0.05) return "middle";
  return (place < 0 ? marks.left : marks.right) === "R" ? "right" : "left";
}

/**
 * Interpolates cells bilinearly at the centres of side x side pixels, as `to_source_grid` of the DICOM results does:
 * outlines agree with the segmentation. Beyond the outermost centres values stay.
 * @param {Float32Array} cells @param {number} rows @param {number} columns @param {number} side
 */
export function enlarge(cells, rows, columns, side) {
  const [across, down, field] = [weights(columns, side), weights(rows, side), new Float32Array(side * side)];
  for (let y = 0, at = 0; y < side; y += 1) {
    const [upper, lower] = [down[y].first * columns, down[y].second * columns];
    for (let x = 0; x < side; x += 1, at += 1) {
      const { first, second, share } = across[x];
      const above = cells[upper + first] + (cells[upper + second] - cells[upper + first]) * share;
      const below = cells[lower + first] + (cells[lower + second] - cells[lower + first]) * share;
      field[at] = above + (below - above) * down[y].share;
    }
  }
  return field;
}

/** @param {number} cells @param {number} pixels */
const weights = (cells, pixels) =>
  Array.from({ length: pixels }, (_, pixel) => {
    const place = Math.min(Math.max(((pixel + 0.5) * cells) / pixels - 0.5, 0), cells - 1);
    return { first: Math.floor(place), second: Math.min(Math.floor(place) + 1, cells - 1), share: place % 1 };
  });

/**
 * Paints each pixel in the colour of its highest label. Opacity rises from 0.4 at the threshold, so that its edge is seen, to 1.
 * @param {{ field: Float32Array, colour: number[] }[]} layers @param {number} threshold @param {Uint8ClampedArray} pixels RGBA, all zero
 */
export function paintFields(layers, threshold, pixels) {
  for (let pixel = 0; pixel < pixels.length / 4; pixel += 1) {
    let highest = threshold;
    for (const { field, colour } of layers) {
      if (field[pixel] <= highest) continue;
      highest = field[pixel];
      pixels.set(colour, 4 * pixel);
    }
    if (highest > threshold) pixels[4 * pixel + 3] = 255 * (0.4 + (0.6 * (highest - threshold)) / (1 - threshold));
  }
}
