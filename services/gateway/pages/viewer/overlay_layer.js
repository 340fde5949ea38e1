// Draws the network's heat map over a slice: a tint above the threshold, its outline, or both. Clipped to the slice.

import { contourLines } from "./contour.js";
import { PICTURE_SIDE, enlarge, paintFields } from "./heat_map.js";

/** @typedef {import("./heat_map.js").HeatMap} HeatMap */
/** @typedef {import("./slice_canvas.js").Scene} Scene */
/** @typedef {import("../types.js").ReportSlice} ReportSlice */
/** @typedef {{ visible: boolean, label: string, opacity: number, threshold: number, form: string }} OverlayOptions `form`: tint, contour or both */

// The palette of Okabe and Ito, distinct to colour-blind readers; as in the DICOM results (label_colours.py).
/** @type {Record<string, number[]>} */
export const LABEL_COLOURS = {
  any: [230, 230, 230],
  epidural: [230, 159, 0],
  intraparenchymal: [240, 96, 60],
  intraventricular: [86, 180, 233],
  subarachnoid: [240, 228, 66],
  subdural: [0, 200, 150],
};

/** @param {string} label */
export const colourOf = (label) => `rgb(${LABEL_COLOURS[label].join(" ")})`;

// At 0.5 the mapped area equals the painted one best, measured on phantoms, and agrees with the segmentation objects
// (docs/reference/dicom-results.md).
export const DEFAULT_THRESHOLD = 0.5;
const SIDE = 256; // pixels of the interpolated map; the canvas smooths the rest
const SCALE = PICTURE_SIDE / SIDE;
const KEPT = 16; // slices whose drawing is kept

export class OverlayLayer {
  #map;
  /** @type {Map<string, { tint: OffscreenCanvas, outlines: { path: Path2D, colour: string }[] }>} */
  #drawings = new Map();

  /** @param {HeatMap} map @param {OverlayOptions} options */
  constructor(map, options) {
    this.#map = map;
    this.options = options;
  }

  /** The labels that are drawn: the chosen one, or all. */
  get labels() {
    return this.options.label === "all" ? this.#map.labels : [this.options.label];
  }

  /** @param {CanvasRenderingContext2D} context @param {Scene} scene */
  draw(context, { slice, pictureToCanvas }) {
    const { visible, form, opacity } = this.options;
    if (!visible || !slice.geometry) return;
    const { left, top, width, height } = slice.geometry;
    const { tint, outlines } = this.#drawing(slice);
    context.setTransform(pictureToCanvas);
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    [context.globalAlpha, context.imageSmoothingEnabled] = [opacity, true];
    if (form !== "contour") context.drawImage(tint, 0, 0, PICTURE_SIDE, PICTURE_SIDE);
    [context.globalAlpha, context.lineCap] = [1, "round"];
    context.resetTransform(); // lines are as wide at every zoom
    if (form !== "tint") for (const outline of outlines) strokeOutline(context, outline, pictureToCanvas);
  }

  /** @param {ReportSlice} slice */
  #drawing(slice) {
    const key = [slice.slab ?? slice.index, this.options.label, this.options.threshold].join(" ");
    const drawing = this.#drawings.get(key) ?? this.#make(slice);
    this.#drawings.delete(key); // the least recently used is the first
    this.#drawings.set(key, drawing);
    if (this.#drawings.size > KEPT) this.#drawings.delete(this.#drawings.keys().next().value ?? "");
    return drawing;
  }

  /** @param {ReportSlice} slice */
  #make(slice) {
    const fields = this.labels.flatMap((label) => {
      const cells = this.#map.cells(slice, label);
      return cells ? [{ field: enlarge(cells, this.#map.rows, this.#map.columns, SIDE), colour: LABEL_COLOURS[label], label }] : [];
    });
    const [{ threshold }, tint, image] = [this.options, new OffscreenCanvas(SIDE, SIDE), new ImageData(SIDE, SIDE)];
    paintFields(fields, threshold, image.data);
    tint.getContext("2d")?.putImageData(image, 0, 0);
    return { tint, outlines: fields.map(({ field, label }) => ({ path: outlineOf(field, threshold), colour: colourOf(label) })) };
  }
}

/** @param {Float32Array} field @param {number} threshold */
function outlineOf(field, threshold) {
  const path = new Path2D();
  for (const [x, y, toX, toY] of contourLines(field, SIDE, threshold)) {
    path.moveTo(x * SCALE, y * SCALE);
    path.lineTo(toX * SCALE, toY * SCALE);
  }
  return path;
}

/** A dark line below keeps each colour visible on bone. @param {CanvasRenderingContext2D} context @param {{ path: Path2D, colour: string }} outline @param {DOMMatrix} matrix */
function strokeOutline(context, { path, colour }, matrix) {
  const line = new Path2D();
  line.addPath(path, matrix);
  for (const [style, width] of /** @type {const} */ ([["rgb(0 0 0 / 0.7)", 4], [colour, 2]])) {
    [context.strokeStyle, context.lineWidth] = [style, width];
    context.stroke(line);
  }
}
