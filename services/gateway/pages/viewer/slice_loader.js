// Loads the slices of a series around the current one, few at a time, into a bounded cache.

/** @typedef {import("./png.js").SliceImage} SliceImage */

const PARALLEL = 3;
const NEAR = 8; // slices; requests for more distant ones are aborted
const CACHE_BYTES = 128 * 1024 ** 2;
const ASSUMED_BYTES = 512 * 512 * 2;
const RETRY_S = 5; // where the response names no time

/** Dispatches `load` with each slice that arrived or failed. */
export class SliceLoader extends EventTarget {
  #load;
  #count;
  #index = 0;
  #bytes = 0;
  /** @type {Map<number, SliceImage>} */
  #images = new Map();
  /** @type {Map<number, any>} */
  #errors = new Map();
  /** @type {Map<number, AbortController>} */
  #running = new Map();
  #closed = false;
  #timer = 0;

  /** @param {(index: number, signal: AbortSignal) => Promise<SliceImage>} load @param {number} count slices of the series */
  constructor(load, count) {
    super();
    this.#load = load;
    this.#count = count;
  }

  /** Slices that are there. */
  get loaded() {
    return this.#images.size;
  }

  /** Slices that the cache takes. */
  get capacity() {
    const bytes = this.#images.size > 0 ? this.#bytes / this.#images.size : ASSUMED_BYTES;
    return Math.min(this.#count, Math.max(1, Math.floor(CACHE_BYTES / bytes)));
  }

  /** @param {number} index */
  image(index) {
    return this.#images.get(index);
  }

  /** Why a slice could not be loaded. @param {number} index */
  error(index) {
    return this.#errors.get(index);
  }

  /** Loads this slice first, then its neighbours; ends requests for distant ones. @param {number} index */
  moveTo(index) {
    this.#index = index;
    const farthestFirst = [...this.#running].sort(([one], [other]) => Math.abs(other - index) - Math.abs(one - index));
    for (const [other, controller] of farthestFirst) if (Math.abs(other - index) > NEAR || this.#isBlocked(index)) this.#end(other, controller);
    this.#start();
  }

  /** Whether the slice has to wait for others. @param {number} index */
  #isBlocked(index) {
    return this.#running.size >= PARALLEL && this.#wanted().includes(index) && !this.#running.has(index);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const [index, controller] of this.#running) this.#end(index, controller);
    this.#images.clear();
  }

  /** Slices to load, nearest first. */
  #wanted() {
    const near = nearest(this.#index, this.#count).slice(0, this.capacity);
    return near.filter((index) => !this.#images.has(index) && !this.#errors.has(index));
  }

  #start() {
    if (this.#closed) return;
    for (const index of this.#wanted()) {
      if (this.#running.size >= PARALLEL) return;
      if (!this.#running.has(index)) this.#run(index);
    }
  }

  /** @param {number} index @param {AbortController} controller */
  #end(index, controller) {
    this.#running.delete(index);
    controller.abort();
  }

  /** @param {number} index */
  async #run(index) {
    const controller = new AbortController();
    this.#running.set(index, controller);
    try {
      const image = await this.#load(index, controller.signal);
      if (!controller.signal.aborted) this.#keep(index, image);
    } catch (error) {
      if (!controller.signal.aborted) this.#fail(index, error);
    }
    if (controller.signal.aborted) return;
    this.#running.delete(index);
    this.dispatchEvent(new CustomEvent("load", { detail: index }));
    this.#start();
  }

  /** A slice that the service cannot send now is asked for again later. @param {number} index @param {any} error */
  #fail(index, error) {
    this.#errors.set(index, error);
    if (isFinal(error)) return;
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      for (const [other, kept] of this.#errors) if (!isFinal(kept)) this.#errors.delete(other);
      this.#start();
    }, 1000 * (error.retryAfterSeconds ?? RETRY_S));
  }

  /** @param {number} index @param {SliceImage} image */
  #keep(index, image) {
    this.#images.set(index, image);
    this.#bytes += sizeOf(image);
    const farthestFirst = [...this.#images.keys()].sort((one, other) => Math.abs(other - this.#index) - Math.abs(one - this.#index));
    for (const other of farthestFirst) {
      if (this.#bytes <= CACHE_BYTES || other === this.#index) return;
      this.#bytes -= sizeOf(/** @type {SliceImage} */ (this.#images.get(other)));
      this.#images.delete(other);
    }
  }
}

/** @param {any} error */
const isFinal = ({ status = 0 }) => status >= 400 && status < 500 && status !== 429;

/** @param {SliceImage} image */
const sizeOf = ({ hounsfield, rgb }) => (hounsfield ?? rgb)?.byteLength ?? 0;

/** Indexes by distance: 5, 6, 4, 7, 3 … @param {number} index @param {number} count */
export function nearest(index, count) {
  return Array.from({ length: count }, (_, at) => at).sort((one, other) => Math.abs(one - index) - Math.abs(other - index) || other - one);
}
