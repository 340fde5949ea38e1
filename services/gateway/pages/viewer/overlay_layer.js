// Draws the network's heat map over a slice: a tint above the threshold, its outline, or both.

import { contourLines } from "./contour.js";
import { PICTURE_SIDE, enlarge, paintFields } from "./heat_map.js";

/** @typedef {import("./heat_map.js").HeatMap} HeatMap */
/** @typedef {import("../types.js").ReportSlice} ReportSlice */
/** @typedef {{ visible: boolean, label: string, opacity: number, threshold: number, tint: boolean, contour: boolean }} OverlayOptions */
/** @typedef {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} Context */
/** @typedef {{ field: Float32Array, colour: number[] }} Field */

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

// Slices and labels of the segmentation objects agree with it: at 0.5 the mapped area equals the painted one best,
// measured on phantoms (docs/reference/dicom-results.md).
export const DEFAULT_THRESHOLD = 0.5;
const SIDE = 256; // pixels of the interpolated map; the canvas smooths the rest
const KEPT = 16; // slices whose drawing is kept

export class OverlayLayer {
  #map;
  /** @type {Map<string, { tint: OffscreenCanvas, outlines: { path: Path2D, colour: number[] }[] }>} */
  #drawings = new Map();
  /** @type {OverlayOptions} */
  options;

  /** @param {HeatMap} map @param {OverlayOptions} options */
  constructor(map, options) {
    this.#map = map;
    this.options = options;
  }

  /** The labels that are drawn: the chosen one, or all. */
  get labels() {
    return this.options.label === "all" ? this.#map.labels : [this.options.label];
  }

  /** @param {Context} context @param {{ slice: ReportSlice, pictureToCanvas: DOMMatrix }} scene */
  draw(context, { slice, pictureToCanvas }) {
    const drawing = this.options.visible && slice.geometry ? this.#drawing(slice) : null;
    if (!drawing) return;
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clip(placed(sliceArea(slice), pictureToCanvas));
    if (this.options.tint) drawTint(context, drawing.tint, this.options.opacity, pictureToCanvas);
    if (this.options.contour) for (const outline of drawing.outlines) strokeOutline(context, outline, pictureToCanvas);
    context.restore();
  }

  /** @param {ReportSlice} slice */
  #drawing(slice) {
    const key = [slice.slab ?? slice.index, this.options.label, this.options.threshold].join(" ");
    const drawing = this.#drawings.get(key) ?? this.#make(slice);
    if (!drawing) return null;
    this.#drawings.delete(key); // the least recently used is the first
    this.#drawings.set(key, drawing);
    if (this.#drawings.size > KEPT) this.#drawings.delete(this.#drawings.keys().next().value ?? "");
    return drawing;
  }

  /** @param {ReportSlice} slice */
  #make(slice) {
    const fields = this.labels.flatMap((label) => {
      const cells = this.#map.cells(slice, label);
      return cells ? [{ field: enlarge(cells, this.#map.rows, this.#map.columns, SIDE), colour: LABEL_COLOURS[label] }] : [];
    });
    const { threshold } = this.options;
    return { tint: tintOf(fields, threshold), outlines: fields.map((field) => outlineOf(field, threshold)) };
  }
}

/** @param {Field[]} fields @param {number} threshold */
function tintOf(fields, threshold) {
  const tint = new OffscreenCanvas(SIDE, SIDE);
  const image = new ImageData(SIDE, SIDE);
  paintFields(fields, threshold, image.data);
  tint.getContext("2d")?.putImageData(image, 0, 0);
  return tint;
}

/** @param {Field} field @param {number} threshold */
function outlineOf({ field, colour }, threshold) {
  const [path, scale] = [new Path2D(), PICTURE_SIDE / SIDE];
  for (const [x, y, toX, toY] of contourLines(field, SIDE, threshold)) {
    path.moveTo(x * scale, y * scale);
    path.lineTo(toX * scale, toY * scale);
  }
  return { path, colour };
}

/** @param {Context} context @param {OffscreenCanvas} tint @param {number} opacity @param {DOMMatrix} matrix */
function drawTint(context, tint, opacity, matrix) {
  context.save();
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = true;
  context.setTransform(matrix);
  context.drawImage(tint, 0, 0, PICTURE_SIDE, PICTURE_SIDE);
  context.restore();
}

/** @param {ReportSlice} slice */
function sliceArea({ geometry }) {
  const path = new Path2D();
  if (geometry) path.rect(geometry.left, geometry.top, geometry.width, geometry.height);
  return path;
}

/** @param {Path2D} path @param {DOMMatrix} matrix */
function placed(path, matrix) {
  const moved = new Path2D();
  moved.addPath(path, matrix);
  return moved;
}

// A dark line below keeps each colour visible on bone.
/** @param {Context} context @param {{ path: Path2D, colour: number[] }} outline @param {DOMMatrix} matrix */
function strokeOutline(context, { path, colour }, matrix) {
  const line = placed(path, matrix);
  context.lineCap = "round";
  for (const [style, width] of /** @type {const} */ ([["rgb(0 0 0 / 0.7)", 4], [`rgb(${colour.join(" ")})`, 2]])) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.stroke(line);
  }
}
