// Slices as pixels: decoded when they are looked at, the latest kept. One slice takes a megabyte.

const KEPT = 48;
const CHANNELS = { bone: 0, subdural: 1, soft_tissue: 2 };

export class Pictures {
  decoded = new Map();

  // slices: of the report, each with `image`, a PNG in base64 or null
  constructor(slices) {
    this.slices = slices;
  }

  // The three windows of one slice as RGB, or null where there is no picture that can be shown.
  pixels(index) {
    const image = this.slices[index]?.image;
    if (!image) return Promise.resolve(null);
    const found = this.decoded.get(index) ?? decode(image).catch(() => null);
    this.decoded.delete(index);
    this.decoded.set(index, found);
    if (this.decoded.size > KEPT) this.decoded.delete(this.decoded.keys().next().value);
    return found;
  }
}

async function decode(base64) {
  const binary = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(new Blob([binary], { type: "image/png" }), options);
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

// Paints all three channels as colours, or one of them as grey.
export function paint(canvas, pixels, channel) {
  [canvas.width, canvas.height] = [pixels.width, pixels.height];
  const shown = channel in CHANNELS ? grey(pixels, CHANNELS[channel]) : pixels;
  canvas.getContext("2d").putImageData(shown, 0, 0);
}

function grey({ data, width, height }, channel) {
  const made = new ImageData(width, height);
  for (let at = 0; at < data.length; at += 4) {
    made.data[at] = made.data[at + 1] = made.data[at + 2] = data[at + channel];
    made.data[at + 3] = 255;
  }
  return made;
}
