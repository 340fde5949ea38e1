// Pixels of slices, decoded on demand; a cache holds the last ones. One slice takes 1 MB.

const CACHED_SLICES = 48;
const CHANNELS = { bone: 0, subdural: 1, soft_tissue: 2 };

export class Pictures {
  decoded = new Map();

  // slices: of a report; `image` is a PNG in base64, or null
  constructor(slices) {
    this.slices = slices;
  }

  // The three windows of one slice as RGB; null without a readable image.
  pixels(index) {
    const image = this.slices[index]?.image;
    if (!image) return Promise.resolve(null);
    const pixels = this.decoded.get(index) ?? decode(image).catch(() => null);
    this.decoded.delete(index);
    this.decoded.set(index, pixels);
    if (this.decoded.size > CACHED_SLICES) this.decoded.delete(this.decoded.keys().next().value);
    return pixels;
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

// Draws all three channels in colour, or one in grey.
export function paint(canvas, pixels, channel) {
  [canvas.width, canvas.height] = [pixels.width, pixels.height];
  const image = channel in CHANNELS ? grey(pixels, CHANNELS[channel]) : pixels;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function grey({ data, width, height }, channel) {
  const image = new ImageData(width, height);
  for (let at = 0; at < data.length; at += 4) {
    image.data[at] = image.data[at + 1] = image.data[at + 2] = data[at + channel];
    image.data[at + 3] = 255;
  }
  return image;
}
