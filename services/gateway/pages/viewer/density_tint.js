// Tints the Hounsfield units of fresh blood: plain density, without any network.

/** @typedef {import("./slice_canvas.js").SliceCanvas} SliceCanvas */

export const BLOOD_HU = { from: 48, to: 90 }; // clotted blood; grey matter lies below, calcification and bone above
const TINT = 0x8ca779cc; // (204, 121, 167), the colour of the palette that no label has, with an opacity of 0.55

/** @param {Int16Array} hounsfield @param {Uint32Array} pixels RGBA as one number, all zero */
export function paintDensity(hounsfield, pixels) {
  for (let at = 0; at < hounsfield.length; at += 1) if (hounsfield[at] >= BLOOD_HU.from && hounsfield[at] <= BLOOD_HU.to) pixels[at] = TINT;
}

export class DensityTint {
  visible = false;
  #canvas;
  /** @type {unknown} the image that was painted */
  #painted;
  #bitmap = new OffscreenCanvas(1, 1);

  /** @param {SliceCanvas} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** @param {CanvasRenderingContext2D} context @param {{ sliceToCanvas: DOMMatrix }} scene */
  draw(context, { sliceToCanvas }) {
    const { image } = this.#canvas;
    if (!this.visible || !image?.hounsfield) return;
    if (image !== this.#painted) this.#paint(image.width, image.height, image.hounsfield);
    this.#painted = image;
    context.setTransform(sliceToCanvas);
    context.drawImage(this.#bitmap, 0, 0);
  }

  /** @param {number} width @param {number} height @param {Int16Array} hounsfield */
  #paint(width, height, hounsfield) {
    const pixels = new ImageData(width, height);
    paintDensity(hounsfield, new Uint32Array(pixels.data.buffer));
    this.#bitmap = new OffscreenCanvas(width, height);
    this.#bitmap.getContext("2d")?.putImageData(pixels, 0, 0);
  }
}
