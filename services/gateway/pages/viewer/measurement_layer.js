// Measurements and the cross hair: kept by slice while the view is open, drawn over the slice, listed below it.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { formatNumber } from "../text.js";
import { ellipseArea, ellipseStatistics, lengthOf } from "./measurements.js";

/** @typedef {import("./measurements.js").Measurement} Measurement */
/** @typedef {import("./measurements.js").Point} Point */

const COLOUR = "#7dff9a";

export class MeasurementLayer {
  list = element("ol", { class: "measurements", "aria-label": t("viewer.measurements") });
  /** The measurement that is being made. @type {Measurement | null} */
  draft = null;
  /** Pixel of the slice under the cross hair. @type {Point | null} */
  cross = null;
  #canvas;
  /** @type {Map<number, Measurement[]>} */
  #bySlice = new Map();
  /** Texts of measurements, which never change. @type {WeakMap<Measurement, string>} */
  #texts = new WeakMap();

  /** @param {import("./slice_canvas.js").SliceCanvas} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    canvas.addLayer(this);
    canvas.addEventListener("slicechange", () => {
      this.draft = null;
      this.#show();
    });
    canvas.addEventListener("load", () => this.#show());
    this.#show();
  }

  get #measurements() {
    return this.#bySlice.get(this.#canvas.index) ?? [];
  }

  /** Keeps the draft; returns its text, or nothing where it has no extent. */
  finish() {
    const { draft } = this;
    this.draft = null;
    const isPoint = !draft || Math.abs(draft.to.x - draft.from.x) + Math.abs(draft.to.y - draft.from.y) < 0.5;
    if (!isPoint) this.#set([...this.#measurements, draft]);
    this.#canvas.requestDraw();
    return isPoint ? undefined : this.describe(draft);
  }

  /** @param {number} at place in the list; the last one without it */
  remove(at = this.#measurements.length - 1) {
    this.#set(this.#measurements.toSpliced(at, 1));
  }

  /** @param {Measurement[]} measurements */
  #set(measurements) {
    this.#bySlice.set(this.#canvas.index, measurements);
    this.#show();
    this.#canvas.requestDraw();
  }

  #show() {
    this.list.hidden = this.#measurements.length === 0;
    this.list.replaceChildren(...this.#measurements.map((measurement, at) => this.#row(measurement, at)));
  }

  /** @param {Measurement} measurement @param {number} at */
  #row(measurement, at) {
    const button = element("button", { type: "button", class: "link-button" }, t("viewer.delete"));
    const text = this.describe(measurement);
    button.setAttribute("aria-label", t("viewer.delete_measurement", { text }));
    button.addEventListener("click", () => {
      this.remove(at);
      this.#canvas.element.focus();
    });
    return element("li", {}, text, " ", button);
  }

  /** @param {Measurement} measurement */
  describe(measurement) {
    const text = this.#texts.get(measurement) ?? this.#measure(measurement);
    if (this.#canvas.image) this.#texts.set(measurement, text);
    return text;
  }

  /** @param {Measurement} measurement */
  #measure({ kind, from, to }) {
    const [size, { image }] = [this.#canvas.size, this.#canvas];
    if (kind === "ruler") return inUnit(lengthOf(from, to, size));
    const area = inUnit(ellipseArea(from, to, size));
    const found = image && ellipseStatistics(image, from, to);
    if (!found) return t("viewer.area", { area });
    const { mean, deviation, min, max } = found;
    return t("viewer.ellipse_values", { mean: formatNumber(mean, 1), deviation: formatNumber(deviation, 1), min, max, area });
  }

  /** @param {CanvasRenderingContext2D} context @param {{ sliceToCanvas: DOMMatrix }} scene */
  draw(context, { sliceToCanvas }) {
    const drawn = this.draft ? [...this.#measurements, this.draft] : this.#measurements;
    context.font = `${13 * devicePixelRatio}px system-ui, sans-serif`;
    for (const measurement of drawn) this.#drawOne(context, sliceToCanvas, measurement);
    if (this.cross) drawCross(context, sliceToCanvas.transformPoint({ x: this.cross.x + 0.5, y: this.cross.y + 0.5 }));
  }

  /** @param {CanvasRenderingContext2D} context @param {DOMMatrix} matrix @param {Measurement} measurement */
  #drawOne(context, matrix, measurement) {
    const [from, to] = [matrix.transformPoint(measurement.from), matrix.transformPoint(measurement.to)];
    const path = new Path2D();
    if (measurement.kind === "ruler") {
      path.moveTo(from.x, from.y);
      path.lineTo(to.x, to.y);
    } else path.ellipse((from.x + to.x) / 2, (from.y + to.y) / 2, Math.abs(to.x - from.x) / 2, Math.abs(to.y - from.y) / 2, 0, 0, 2 * Math.PI);
    strokeOutlined(context, path);
    const text = this.describe(measurement);
    const x = Math.max(4, Math.min(Math.max(from.x, to.x) + 6, context.canvas.width - context.measureText(text).width - 4));
    const y = Math.max(from.y, to.y) + 4;
    [context.strokeStyle, context.fillStyle, context.lineWidth, context.lineJoin] = ["#000", COLOUR, 4, "round"];
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }
}

/** @param {{ value: number, unit: string }} amount */
const inUnit = ({ value, unit }) => `${formatNumber(value, 1)}\u00a0${unit}`;

/** @param {CanvasRenderingContext2D} context @param {Path2D} path */
function strokeOutlined(context, path) {
  for (const [style, width] of /** @type {const} */ ([["rgb(0 0 0 / 0.7)", 4], [COLOUR, 1.5]])) {
    [context.strokeStyle, context.lineWidth] = [style, width * devicePixelRatio];
    context.stroke(path);
  }
}

/** @param {CanvasRenderingContext2D} context @param {Point} point */
function drawCross(context, { x, y }) {
  const [gap, arm] = [4 * devicePixelRatio, 22 * devicePixelRatio];
  const path = new Path2D();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    path.moveTo(x + dx * gap, y + dy * gap);
    path.lineTo(x + dx * arm, y + dy * arm);
  }
  strokeOutlined(context, path);
}
