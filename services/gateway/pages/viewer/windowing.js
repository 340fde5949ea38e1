// Windows Hounsfield units to grey levels. Pure.

/** @typedef {{ name: "brain" | "subdural" | "stroke" | "bone" | "soft_tissue", centre: number, width: number }} Preset */

/** @type {readonly Preset[]} keys 1 to 5 */
export const PRESETS = [
  { name: "brain", centre: 40, width: 80 },
  { name: "subdural", centre: 75, width: 215 },
  { name: "stroke", centre: 40, width: 40 },
  { name: "bone", centre: 600, width: 2800 },
  { name: "soft_tissue", centre: 40, width: 380 },
];

const VALUES = 65536;
const OFFSET = 32768;
const OPAQUE = 0xff000000;

/**
 * Grey level of each value from -32768 to 32767 HU, by LINEAR_EXACT of DICOM PS3.3 C.11.2.1.3.2, as the recipe's windows:
 * (HU - (centre - width / 2)) * 255 / width, clipped to 0 to 255, rounded half to even.
 * @param {number} centre HU @param {number} width HU, above 0
 */
export function greyLevels(centre, width) {
  const levels = new Uint8ClampedArray(VALUES); // clips, and rounds half to even (ECMA-262, ToUint8Clamp)
  const [lower, slope] = [centre - width / 2, 255 / width];
  for (let at = 0; at < VALUES; at += 1) levels[at] = (at - OFFSET - lower) * slope;
  return levels;
}

/** RGBA pixels of a grey level as one number, for each value. @param {number} centre @param {number} width */
export function greyPixels(centre, width) {
  const [levels, pixels] = [greyLevels(centre, width), new Uint32Array(VALUES)];
  for (let at = 0; at < VALUES; at += 1) pixels[at] = OPAQUE | (levels[at] * 0x010101);
  return pixels;
}

/** @param {Int16Array} hounsfield @param {Uint32Array} table of `greyPixels` @param {Uint32Array} pixels */
export function paintWindow(hounsfield, table, pixels) {
  for (let at = 0; at < hounsfield.length; at += 1) pixels[at] = table[hounsfield[at] + OFFSET];
}

/** All three windows in colour, or one of them in grey. @param {Uint8Array} rgb @param {number | null} channel @param {Uint32Array} pixels */
export function paintChannels(rgb, channel, pixels) {
  for (let at = 0, from = 0; at < pixels.length; at += 1, from += 3) {
    pixels[at] = OPAQUE | (channel === null ? rgb[from] | (rgb[from + 1] << 8) | (rgb[from + 2] << 16) : rgb[from + channel] * 0x010101);
  }
}
