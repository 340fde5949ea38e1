// Moves two slice canvases together: by position in mm, and by window, zoom and place in the plane.

/** @typedef {import("./slice_canvas.js").SliceCanvas} SliceCanvas */
/** @typedef {{ index: number, position_mm: number }} Position */

/** Index of the slice nearest to a position. @param {Position[]} slices @param {number} position mm */
export function nearestSlice(slices, position) {
  const distance = (/** @type {Position} */ slice) => Math.abs(slice.position_mm - position);
  return slices.reduce((best, slice) => (distance(slice) < distance(best) ? slice : best)).index;
}

/**
 * Position in the other series less that in the first, in mm. Positions of two studies have no common zero: tables move.
 * Scans of heads end near the vertex, so their highest slices meet.
 * @param {any} report @param {any} other
 */
export function initialOffset(report, other) {
  const highest = (/** @type {Position[]} */ slices) => Math.max(...slices.map(({ position_mm }) => position_mm));
  const study = report.series?.study_instance_uid;
  return study && study === other.series?.study_instance_uid ? 0 : highest(other.slices) - highest(report.slices);
}

/** Pictures of PNG files have no positions. @param {any} report */
const hasPositions = (report) => !!report.series?.series_instance_uid;

export class CompareLink {
  views = true;
  #canvases;
  #following = false;

  /** @param {[SliceCanvas, SliceCanvas]} canvases */
  constructor(canvases) {
    const [one, other] = canvases;
    this.#canvases = canvases;
    this.positions = hasPositions(one.report) && hasPositions(other.report);
    this.scrolls = this.positions;
    this.offset = initialOffset(one.report, other.report);
    for (const [at, canvas] of canvases.entries()) {
      canvas.addEventListener("slicechange", () => this.#follow(() => this.scroll(at)));
      canvas.addEventListener("viewchange", () => this.#follow(() => this.views && copyView(canvas, canvases[1 - at])));
    }
    this.scroll(0);
  }

  /** Takes the two current slices for the same place. */
  linkHere() {
    this.offset = this.#canvases[1].slice.position_mm - this.#canvases[0].slice.position_mm;
  }

  /** Moves the other canvas to the position of this one. @param {number} at 0 or 1 */
  scroll(at) {
    const [from, to] = [this.#canvases[at], this.#canvases[1 - at]];
    const position = from.slice.position_mm + (at === 0 ? this.offset : -this.offset);
    if (this.scrolls) to.go(nearestSlice(to.report.slices, position));
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
  const inMm = extent(from).known && extent(to).known;
  const scale = (/** @type {SliceCanvas} */ canvas) => (inMm ? (Math.abs(canvas.sliceToCanvas.a) * canvas.size.columns) / extent(canvas).x : canvas.zoom);
  [to.flipped, to.channel] = [from.flipped, from.channel];
  to.setWindow(from.window.centre, from.window.width);
  to.zoomBy(scale(from) / scale(to));
  const share = (/** @type {"x" | "y"} */ axis) => (inMm ? extent(from)[axis] / extent(to)[axis] : 1);
  to.centre = { x: 0.5 + (from.centre.x - 0.5) * share("x"), y: 0.5 + (from.centre.y - 0.5) * share("y") };
  to.requestDraw();
}

/** Width and height of the slice in mm. @param {SliceCanvas} canvas */
const extent = ({ size: { columns, rows, columnMm, rowMm } }) => ({ x: columns * (columnMm ?? 1), y: rows * (rowMm ?? 1), known: !!(columnMm && rowMm) });
