// Moves two slice canvases together: by position in mm, and by window, zoom and place in the plane.

/** @typedef {import("./slice_canvas.js").SliceCanvas} SliceCanvas */
/** @typedef {{ index: number, position_mm: number }} Position */

/** Index of the slice nearest to a position. @param {Position[]} slices @param {number} position mm */
export function nearestSlice(slices, position) {
  const distance = (/** @type {Position} */ slice) => Math.abs(slice.position_mm - position);
  return slices.reduce((best, slice) => (distance(slice) < distance(best) ? slice : best)).index;
}

// Positions of two scans have no common zero: tables move. Scans of heads end near the vertex, so the highest slices meet.
/** Position in the other series less that in the first, in mm. @param {Position[]} slices @param {Position[]} others */
export const initialOffset = (slices, others) => highest(others) - highest(slices);

/** @param {Position[]} slices */
const highest = (slices) => Math.max(...slices.map(({ position_mm }) => position_mm));

/** Dispatches `offset` where the offset has changed. */
export class CompareLink extends EventTarget {
  scrolls = true;
  views = true;
  offset;
  #canvases;
  #following = false;

  /** @param {[SliceCanvas, SliceCanvas]} canvases */
  constructor(canvases) {
    super();
    this.#canvases = canvases;
    this.offset = initialOffset(canvases[0].report.slices, canvases[1].report.slices);
    canvases.forEach((canvas, at) => {
      canvas.addEventListener("slicechange", () => this.#follow(() => this.scrolls && this.scroll(at)));
      canvas.addEventListener("viewchange", () => this.#follow(() => this.views && copyView(canvas, canvases[1 - at])));
    });
    this.scroll(0);
  }

  /** Takes the two current slices for the same place. */
  linkHere() {
    this.offset = this.#canvases[1].slice.position_mm - this.#canvases[0].slice.position_mm;
    this.dispatchEvent(new Event("offset"));
  }

  /** Moves the other canvas to the position of this one. @param {number} at 0 or 1 */
  scroll(at) {
    const [from, to] = [this.#canvases[at], this.#canvases[1 - at]];
    to.go(nearestSlice(to.report.slices, from.slice.position_mm + (at === 0 ? this.offset : -this.offset)));
  }

  /** The other canvas' own events must not move the first one back. @param {() => void} move */
  #follow(move) {
    if (this.#following) return;
    this.#following = true;
    move();
    this.#following = false;
  }
}

/** Shows the same window and, in mm, the same part of the plane. @param {SliceCanvas} from @param {SliceCanvas} to */
function copyView(from, to) {
  to.flipped = from.flipped;
  to.channel = from.channel;
  to.setWindow(from.window.centre, from.window.width);
  to.zoomBy(pixelsPerMm(from) / pixelsPerMm(to));
  const [one, other] = [extent(from), extent(to)];
  to.centre = { x: 0.5 + ((from.centre.x - 0.5) * one.x) / other.x, y: 0.5 + ((from.centre.y - 0.5) * one.y) / other.y };
  to.requestDraw();
}

// Without spacings the width of the slice stands for a head's field of view.
/** Width and height of the slice in mm. @param {SliceCanvas} canvas */
function extent({ size: { columns, rows, columnMm, rowMm } }) {
  return columnMm && rowMm ? { x: columns * columnMm, y: rows * rowMm } : { x: 250, y: (250 * rows) / columns };
}

/** @param {SliceCanvas} canvas */
const pixelsPerMm = (canvas) => (Math.abs(canvas.sliceToCanvas.a) * canvas.size.columns) / extent(canvas).x;
