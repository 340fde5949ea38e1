// Draws one slice of a series: windowed, placed by one transform, with layers above it.
//
// Coordinates: "slice" is turned native pixels, "picture" the recipe's 512 x 512, "canvas" pixels of the canvas' bitmap.
// Pixel i covers i to i + 1.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { SliceLoader } from "./slice_loader.js";
import { sliceSource } from "./slice_source.js";
import { PRESETS, greyPixels, paintChannels, paintWindow } from "./windowing.js";

/** @typedef {import("../types.js").ReportSlice} ReportSlice */
/** @typedef {import("./png.js").SliceImage} SliceImage */
/** @typedef {{ slice: ReportSlice, report: any, sliceToCanvas: DOMMatrix, pictureToCanvas: DOMMatrix }} Scene */
/** @typedef {{ draw(context: CanvasRenderingContext2D, scene: Scene): void }} Layer */
/** @typedef {{ x: number, y: number }} Point */

const PICTURE_SIDE = 512;
const ZOOM_LIMITS = [0.05, 32];
const KEPT_DURATIONS = 1000;
const SIDES = /** @type {const} */ (["left", "right", "top", "bottom"]);

/** Dispatches `slicechange`, `viewchange` (window, zoom, pan, flip), `load` and `draw`. */
export class SliceCanvas extends EventTarget {
  element = element("div", { class: "slice-canvas", tabindex: "0", role: "application" });
  /** Milliseconds of the last draws. @type {number[]} */
  drawDurations = [];
  /** HU. @type {{ centre: number, width: number }} */
  window = PRESETS[0];
  /** Channel of a picture without Hounsfield units; null shows all three in colour. @type {number | null} */
  channel = 2;
  zoom = 1;
  flipped = false;
  index = 0;
  loader;
  /** Point of the slice at the middle of the canvas, as shares of its size. */
  centre = { x: 0.5, y: 0.5 };
  #canvas = element("canvas", { "aria-hidden": "true" });
  #context;
  #marks = SIDES.map((side) => element("span", { class: "mark", "data-side": side, "aria-hidden": "true" }));
  #notice = element("p", { class: "notice", role: "status" });
  /** @type {Layer[]} */
  #layers = [];
  #bitmap = new OffscreenCanvas(1, 1);
  #painted = "";
  #frame = 0;
  #resizing;
  /** @type {Uint32Array | null} */
  #table = null;

  /** @param {{ job: string, number: number, report: any, index?: number }} options */
  constructor({ job, number, report, index = 0 }) {
    super();
    this.report = report;
    this.index = index;
    Object.assign(this.element, { sliceCanvas: this }); // for tests, and for readers with a console
    this.#context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d", { alpha: false }));
    this.element.append(this.#canvas, ...this.#marks, this.#notice);
    this.loader = new SliceLoader(sliceSource(job, number), report.slices.length);
    this.loader.addEventListener("load", (event) => this.#onLoad(/** @type {CustomEvent<number>} */ (event).detail));
    this.#resizing = new ResizeObserver(() => this.#fit());
    this.#resizing.observe(this.element);
    this.loader.moveTo(index);
    this.requestDraw();
  }

  /** @returns {ReportSlice} */
  get slice() {
    return this.report.slices[this.index];
  }

  /** The slice's pixels; undefined until they are loaded. */
  get image() {
    return this.loader.image(this.index);
  }

  /** Columns and rows of the slice, and millimetres of a pixel; null where the header states none. */
  get size() {
    const { image, slice } = this;
    const geometry = /** @type {any} */ (slice.geometry);
    const turned = geometry && (geometry.transpose ? [geometry.rows, geometry.columns] : [geometry.columns, geometry.rows]);
    const [columns, rows] = turned ?? [image?.width ?? PICTURE_SIDE, image?.height ?? PICTURE_SIDE];
    return { columns, rows, columnMm: geometry?.column_spacing_mm ?? null, rowMm: geometry?.row_spacing_mm ?? null };
  }

  /** @param {Layer} layer */
  addLayer(layer) {
    this.#layers.push(layer);
    this.requestDraw();
  }

  /** @param {number} index */
  go(index) {
    const target = Math.min(Math.max(index, 0), this.report.slices.length - 1);
    if (target === this.index) return;
    this.index = target;
    this.loader.moveTo(target);
    this.requestDraw();
    this.dispatchEvent(new Event("slicechange"));
  }

  /** @param {number} centre HU @param {number} width HU, at least 1 */
  setWindow(centre, width) {
    this.window = { centre: Math.round(centre), width: Math.max(1, Math.round(width)) };
    this.#table = null;
    this.#changeView();
  }

  /** @param {number | null} channel */
  setChannel(channel) {
    this.channel = channel;
    this.#changeView();
  }

  flip() {
    this.flipped = !this.flipped;
    this.#changeView();
  }

  /** Fits the slice to the element, with the first window. */
  reset() {
    [this.zoom, this.flipped, this.centre] = [1, false, { x: 0.5, y: 0.5 }];
    this.setWindow(PRESETS[0].centre, PRESETS[0].width);
  }

  /** Multiplies the zoom; the point of the canvas stays where it is. @param {number} factor @param {Point} [at] canvas */
  zoomBy(factor, at = this.#middle) {
    const before = this.toSlice(at);
    this.zoom = Math.min(Math.max(this.zoom * factor, ZOOM_LIMITS[0]), ZOOM_LIMITS[1]);
    const after = this.toSlice(at);
    this.#moveCentre(before.x - after.x, before.y - after.y);
  }

  /** Shows one column of the slice on one pixel of the canvas. */
  zoomToPixels() {
    this.zoomBy(1 / Math.abs(this.sliceToCanvas.a));
  }

  /** @param {number} x @param {number} y pixels of the canvas */
  panBy(x, y) {
    const { a, d } = this.sliceToCanvas;
    this.#moveCentre(-x / a, -y / d);
  }

  /** @param {number} x @param {number} y pixels of the slice */
  #moveCentre(x, y) {
    const { columns, rows } = this.size;
    this.centre = { x: clampShare(this.centre.x + x / columns), y: clampShare(this.centre.y + y / rows) };
    this.#changeView();
  }

  #changeView() {
    this.requestDraw();
    this.dispatchEvent(new Event("viewchange"));
  }

  get #middle() {
    return { x: this.#canvas.width / 2, y: this.#canvas.height / 2 };
  }

  /** @returns {DOMMatrix} */
  get sliceToCanvas() {
    const { columns, rows, columnMm, rowMm } = this.size;
    const [unitX, unitY] = columnMm && rowMm ? [1, rowMm / columnMm] : [1, 1];
    const fit = Math.min(this.#canvas.width / (columns * unitX), this.#canvas.height / (rows * unitY));
    const scale = snapped(fit * this.zoom);
    const [scaleX, scaleY] = [this.flipped ? -scale : scale, scale * unitY];
    const { x, y } = this.#middle;
    // Whole pixels: at 1:1 each pixel of the slice is one of the canvas.
    return new DOMMatrix([scaleX, 0, 0, scaleY, Math.round(x - this.centre.x * columns * scaleX), Math.round(y - this.centre.y * rows * scaleY)]);
  }

  /** @returns {DOMMatrix} */
  get pictureToCanvas() {
    const { slice: { geometry }, size } = this;
    if (!geometry) return this.sliceToCanvas.scale(size.columns / PICTURE_SIDE, size.rows / PICTURE_SIDE);
    const { left, top, width, height } = geometry;
    return this.sliceToCanvas.scale(size.columns / width, size.rows / height).translate(-left, -top);
  }

  /** Point of the slice at a point of the canvas. @param {Point} point @returns {Point} */
  toSlice({ x, y }) {
    const { a, d, e, f } = this.sliceToCanvas;
    return { x: (x - e) / a, y: (y - f) / d };
  }

  /** Point of the canvas at a point of the window. @param {{ clientX: number, clientY: number }} event @returns {Point} */
  toCanvas({ clientX, clientY }) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    return { x: (clientX - left) * devicePixelRatio, y: (clientY - top) * devicePixelRatio };
  }

  /** Hounsfield units at a point of the slice; null outside it or without them. @param {Point} point */
  valueAt({ x, y }) {
    const { image } = this;
    if (!image?.hounsfield || x < 0 || y < 0 || x >= image.width || y >= image.height) return null;
    return image.hounsfield[Math.floor(y) * image.width + Math.floor(x)];
  }

  /** Draws in the next frame, once. */
  requestDraw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const start = performance.now();
      this.#draw();
      this.drawDurations.push(performance.now() - start);
      if (this.drawDurations.length > KEPT_DURATIONS) this.drawDurations.shift();
    });
  }

  /** The slice as drawn, with its layers, on a square of another size. @param {number} side */
  snapshot(side) {
    const [{ width, height }, copy] = [this.#canvas, new OffscreenCanvas(side, side)];
    this.#resize(side, side);
    copy.getContext("2d")?.drawImage(this.#canvas, 0, 0);
    this.#resize(width, height);
    return copy;
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.#resizing.disconnect();
    this.loader.close();
  }

  #draw() {
    const [context, { sliceToCanvas, pictureToCanvas, image }] = [this.#context, this];
    for (const [at, side] of SIDES.entries()) this.#marks[at].textContent = this.marks?.[side] ?? "";
    this.#notice.textContent = image ? "" : this.#whyEmpty();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (!image) return;
    this.#paint(image);
    const matrix = image.hounsfield ? sliceToCanvas : pictureToCanvas;
    context.imageSmoothingEnabled = Math.abs(matrix.a) !== 1; // at 1:1 every pixel has a level of the slice
    context.setTransform(matrix);
    context.drawImage(this.#bitmap, 0, 0);
    for (const layer of this.#layers) {
      context.save();
      context.resetTransform();
      layer.draw(context, { slice: this.slice, report: this.report, sliceToCanvas, pictureToCanvas });
      context.restore();
    }
    this.dispatchEvent(new Event("draw"));
  }

  /** Windows the slice; nothing is to do where only the place has changed. @param {SliceImage} image */
  #paint(image) {
    const { width, height, hounsfield, rgb } = image;
    const painted = [this.index, this.window.centre, this.window.width, this.channel].join(" ");
    if (painted === this.#painted) return;
    if (this.#bitmap.width !== width || this.#bitmap.height !== height) this.#bitmap = new OffscreenCanvas(width, height);
    const pixels = new ImageData(width, height);
    const words = new Uint32Array(pixels.data.buffer);
    this.#table ??= greyPixels(this.window.centre, this.window.width);
    if (hounsfield) paintWindow(hounsfield, this.#table, words);
    else if (rgb) paintChannels(rgb, this.channel, words);
    this.#bitmap.getContext("2d")?.putImageData(pixels, 0, 0);
    this.#painted = painted;
  }

  #whyEmpty() {
    const error = this.loader.error(this.index);
    const number = this.index + 1;
    return error ? t("viewer.slice_failed", { number, title: error.title ?? String(error), detail: error.detail ?? "" }) : t("viewer.slice_loading", { number });
  }

  /** Letters of the patient's directions at the picture's sides, moved along with a flip. */
  get marks() {
    const marks = /** @type {any} */ (this.slice.geometry)?.marks;
    return marks && this.flipped ? { ...marks, left: marks.right, right: marks.left } : (marks ?? null);
  }

  /** @param {number} index */
  #onLoad(index) {
    if (index === this.index) this.requestDraw();
    this.dispatchEvent(new CustomEvent("load", { detail: index }));
  }

  #fit() {
    const { clientWidth, clientHeight } = this.element;
    this.#resize(Math.round(clientWidth * devicePixelRatio), Math.round(clientHeight * devicePixelRatio));
  }

  /** Draws before the next paint: resizing clears the canvas. @param {number} width @param {number} height */
  #resize(width, height) {
    [this.#canvas.width, this.#canvas.height] = [width, height];
    this.#draw();
  }
}

/** @param {number} share */
const clampShare = (share) => Math.min(Math.max(share, 0), 1);

/** Exactly 1 where rounding has left it beside. @param {number} scale */
const snapped = (scale) => (Math.abs(scale - 1) < 1e-6 ? 1 : scale);
