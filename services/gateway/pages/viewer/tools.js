// Pointer and keyboard on the canvas: windowing, pan, zoom, slices, measurements and the cross hair.
//
// Next slice: index + 1. Index 0 is the feet end, and OHIF (from 3.11) sorts by ImagePositionPatient ascending along the
// normal, so its wheel down also leads from the feet to the head.

import { announce } from "../dom.js";
import { t } from "../i18n/i18n.js";

/** @typedef {import("./slice_canvas.js").SliceCanvas} SliceCanvas */
/** @typedef {import("./measurement_layer.js").MeasurementLayer} MeasurementLayer */
/** @typedef {import("./measurements.js").Point} Point */
/** @typedef {"window" | "pan" | "scroll" | "ruler" | "ellipse"} Tool */

/** `sum` of pixels that moved no slice yet; `open` where a click had set the first point.
 * @typedef {{ act: Tool, start: PointerEvent, last: PointerEvent, sum: number, open: boolean }} Drag */

const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
const DIRECTIONS = { ArrowDown: [0, 1], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowLeft: [-1, 0] };
const WHEEL_STEP_PX = 40;
const SCROLL_STEP_PX = 10;
const CLICK_PX = 4;
const PAN_SHARE = 0.05;

/** Dispatches `change` when the tool or the cross hair changes, and `probe` with the pixel under the pointer. */
export class Tools extends EventTarget {
  /** @type {Tool} */
  tool = matchMedia("(pointer: coarse)").matches ? "scroll" : "window";
  #canvas;
  #layer;
  /** @type {Map<number, PointerEvent>} */
  #pointers = new Map();
  /** @type {Drag | null} */
  #drag = null;
  #wheel = 0;
  /** Point of the slice that is read. @type {Point | null} */
  #probed = null;

  /** @param {SliceCanvas} canvas @param {MeasurementLayer} layer */
  constructor(canvas, layer) {
    super();
    this.#canvas = canvas;
    this.#layer = layer;
    const { element } = canvas;
    element.addEventListener("pointerdown", (event) => this.#onDown(event));
    element.addEventListener("pointermove", (event) => this.#onMove(event));
    element.addEventListener("pointerup", (event) => this.#onUp(event));
    element.addEventListener("pointercancel", (event) => this.#cancel(event));
    element.addEventListener("pointerleave", () => this.#probe(this.#layer.cross));
    element.addEventListener("mousedown", (event) => event.preventDefault()); // no automatic scrolling by the middle button
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    for (const name of ["slicechange", "load"]) canvas.addEventListener(name, () => this.#probe(this.#probed));
  }

  /** @param {Tool} tool */
  choose(tool) {
    this.tool = tool;
    this.#layer.draft = null;
    this.#changed();
  }

  get hasCross() {
    return this.#layer.cross !== null;
  }

  toggleCross() {
    const { columns, rows } = this.#canvas.size;
    this.#moveCross(this.hasCross ? null : { x: columns >> 1, y: rows >> 1 });
    this.#changed();
  }

  #changed() {
    this.#canvas.requestDraw();
    this.dispatchEvent(new Event("change"));
  }

  /** @param {PointerEvent} event */
  #onDown(event) {
    this.#canvas.element.focus({ preventScroll: true });
    this.#canvas.element.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, event);
    if (this.#pointers.size > 1) {
      [this.#drag, this.#layer.draft] = [null, null]; // a second finger ends the action of the first
      return;
    }
    const act = event.button === 2 ? "window" : event.button === 1 || event.shiftKey ? "pan" : this.tool;
    const open = this.#layer.draft !== null; // its first point was set by a click
    this.#drag = { act, start: event, last: event, sum: 0, open };
    if (!isMeasure(act)) return;
    if (open) this.#stretch(this.#pointAt(event));
    else this.#layer.draft = { kind: act, from: this.#pointAt(event), to: this.#pointAt(event) };
  }

  /** @param {PointerEvent} event */
  #onMove(event) {
    const before = this.#pointers.get(event.pointerId);
    if (before && this.#pointers.size === 2) this.#pinch(before, event);
    if (before) this.#pointers.set(event.pointerId, event);
    const point = this.#pointAt(event);
    if (!this.hasCross) this.#probe(point);
    if (this.#layer.draft && (this.#drag === null || isMeasure(this.#drag.act))) this.#stretch(point);
    else if (this.#drag && this.#pointers.size === 1) this.#dragTo(this.#drag, event);
  }

  /** @param {PointerEvent} event */
  #onUp(event) {
    const drag = this.#drag;
    this.#cancel(event);
    if (!drag) return;
    const isClick = distance(drag.start, event) < CLICK_PX;
    if (isMeasure(drag.act) && (drag.open || !isClick)) announce(this.#layer.finish() ?? "");
    if (!isClick || event.button !== 0) return;
    if (this.hasCross) this.#moveCross(this.#pointAt(event));
    else if (drag.act === "pan") this.#centreAt(event);
  }

  /** @param {PointerEvent} event */
  #cancel({ pointerId }) {
    this.#pointers.delete(pointerId);
    this.#drag = null;
  }

  /** @param {Drag} drag @param {PointerEvent} event */
  #dragTo(drag, event) {
    const [x, y] = [event.clientX - drag.last.clientX, event.clientY - drag.last.clientY];
    drag.last = event;
    if (drag.act === "pan") this.#canvas.panBy(x * devicePixelRatio, y * devicePixelRatio);
    if (drag.act === "window") this.#dragWindow(x, y);
    if (drag.act !== "scroll") return;
    drag.sum += y;
    const steps = Math.trunc(drag.sum / SCROLL_STEP_PX);
    drag.sum -= steps * SCROLL_STEP_PX;
    this.#canvas.go(this.#canvas.index + steps);
  }

  /** To the right widens the window, down raises its centre, as in OHIF. @param {number} x @param {number} y */
  #dragWindow(x, y) {
    const { centre, width } = this.#canvas.window;
    const step = Math.max(1, width / 256);
    this.#canvas.setWindow(centre + y * step, width + x * step);
  }

  /** Two fingers zoom and move. @param {PointerEvent} before @param {PointerEvent} event */
  #pinch(before, event) {
    const [other] = [...this.#pointers.values()].filter(({ pointerId }) => pointerId !== event.pointerId);
    const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
    this.#canvas.panBy(((event.clientX - before.clientX) / 2) * devicePixelRatio, ((event.clientY - before.clientY) / 2) * devicePixelRatio);
    this.#canvas.zoomBy(distance(event, other) / Math.max(1, distance(before, other)), this.#canvas.toCanvas(middle));
  }

  /** Down is the next slice. With Ctrl, and by a pinch on a touchpad, it zooms. @param {WheelEvent} event */
  #onWheel(event) {
    event.preventDefault();
    if (event.ctrlKey) return this.#canvas.zoomBy(Math.exp(-event.deltaY / 300), this.#canvas.toCanvas(event));
    const delta = event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_STEP_PX;
    this.#wheel = Math.sign(delta) === Math.sign(this.#wheel) ? this.#wheel + delta : delta;
    if (Math.abs(this.#wheel) < WHEEL_STEP_PX) return;
    this.#canvas.go(this.#canvas.index + Math.sign(this.#wheel));
    this.#wheel = 0;
  }

  /** Acts on a key that moves or measures, and says whether it did. @param {KeyboardEvent} event */
  onKey({ key, shiftKey }) {
    if (key in DIRECTIONS && (this.hasCross || shiftKey)) this.#onDirection(/** @type {keyof typeof DIRECTIONS} */ (key), shiftKey);
    else if (key in STEPS) this.#canvas.go(this.#canvas.index + STEPS[/** @type {keyof typeof STEPS} */ (key)]);
    else if (key === "Delete" || key === "Backspace") this.#layer.remove();
    else if (key === "Enter") this.#setPoint();
    else if (key === "Escape" && this.#layer.draft) this.choose(this.tool);
    else if (key === "Escape" && this.hasCross) this.toggleCross();
    else return false;
    return true;
  }

  /** Moves the cross hair by a pixel, with Shift by ten; without a cross hair the slice. @param {keyof typeof DIRECTIONS} key @param {boolean} far */
  #onDirection(key, far) {
    const [x, y] = DIRECTIONS[key];
    const { cross } = this.#layer;
    const { clientWidth, clientHeight } = this.#canvas.element;
    const share = -PAN_SHARE * devicePixelRatio;
    if (!cross) return this.#canvas.panBy(share * clientWidth * x, share * clientHeight * y);
    const step = far ? 10 : 1;
    this.#moveCross({ x: cross.x + x * step * (this.#canvas.flipped ? -1 : 1), y: cross.y + y * step });
  }

  /** @param {Point | null} point */
  #moveCross(point) {
    const { columns, rows } = this.#canvas.size;
    const inside = (/** @type {number} */ value, /** @type {number} */ count) => Math.min(Math.max(Math.floor(value), 0), count - 1);
    this.#layer.cross = point && { x: inside(point.x, columns), y: inside(point.y, rows) };
    if (this.#layer.draft && this.#layer.cross) this.#stretch(centreOf(this.#layer.cross));
    this.#probe(this.#layer.cross);
    announce(this.#layer.cross ? describePixel(this.#canvas, this.#layer.cross) : "");
    this.#canvas.requestDraw();
  }

  /** Enter at the cross hair sets the first point of a measurement, then the second. */
  #setPoint() {
    const { cross, draft } = this.#layer;
    if (!cross || !isMeasure(this.tool)) return;
    if (draft) announce(this.#layer.finish() ?? "");
    else this.#layer.draft = { kind: this.tool, from: centreOf(cross), to: centreOf(cross) };
  }

  /** @param {Point} point */
  #stretch(point) {
    if (this.#layer.draft) this.#layer.draft = { ...this.#layer.draft, to: point };
    this.#canvas.requestDraw();
  }

  /** A click with the tool that moves the slice: no dragging is needed. @param {PointerEvent} event */
  #centreAt(event) {
    const { left, top, width, height } = this.#canvas.element.getBoundingClientRect();
    this.#canvas.panBy((left + width / 2 - event.clientX) * devicePixelRatio, (top + height / 2 - event.clientY) * devicePixelRatio);
  }

  /** @param {PointerEvent} event */
  #pointAt(event) {
    return this.#canvas.toSlice(this.#canvas.toCanvas(event));
  }

  /** @param {Point | null} point */
  #probe(point) {
    this.#probed = point;
    this.dispatchEvent(new CustomEvent("probe", { detail: point }));
  }
}

/** @param {Tool} tool @returns {tool is "ruler" | "ellipse"} */
const isMeasure = (tool) => tool === "ruler" || tool === "ellipse";

/** @param {{ clientX: number, clientY: number }} one @param {{ clientX: number, clientY: number }} other */
const distance = (one, other) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);

/** @param {Point} pixel */
const centreOf = ({ x, y }) => ({ x: x + 0.5, y: y + 0.5 });

/** "Column 12, row 34: 37 HU"; empty outside the slice. @param {SliceCanvas} canvas @param {Point | null} point */
export function describePixel(canvas, point) {
  const { columns, rows } = canvas.size;
  if (!point || point.x < 0 || point.y < 0 || point.x >= columns || point.y >= rows) return "";
  const place = { column: Math.floor(point.x) + 1, row: Math.floor(point.y) + 1 };
  const value = canvas.valueAt(point);
  return value === null ? t("viewer.pixel", place) : t("viewer.pixel_value", { ...place, value });
}
