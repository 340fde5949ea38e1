// Decodes a PNG (ISO/IEC 15948) exactly: a canvas would cut samples of 16 bits to 8. Pure, without a document.

/** @typedef {{ width: number, height: number, channels: number, depth: number, bytes: Uint8Array<ArrayBuffer> }} Png bytes: row-major, big-endian */
/** Slice as the viewer holds it: Hounsfield units, or the three windows as RGB.
 * @typedef {{ width: number, height: number, hounsfield: Int16Array<ArrayBuffer> | null, rgb: Uint8Array<ArrayBuffer> | null }} SliceImage */

const SIGNATURE = "\x89PNG\r\n\x1a\n";
/** @type {Record<number, number>} */
const CHANNELS = { 0: 1, 2: 3 }; // by colour type: greyscale, RGB
const HOUNSFIELD_OFFSET = 32768; // sample = HU + 32768

/** @param {Uint8Array<ArrayBuffer>} file a 16-bit greyscale PNG of HU + 32768, or an 8-bit RGB one @returns {Promise<SliceImage>} */
export async function decodeSlice(file) {
  const { width, height, channels, depth, bytes } = await decodePng(file);
  if (depth === 16 && channels === 1) return { width, height, hounsfield: toHounsfield(bytes), rgb: null };
  if (depth === 8 && channels === 3) return { width, height, hounsfield: null, rgb: bytes };
  throw new TypeError(`PNG has ${channels} channels of ${depth} bits; it must have 1 of 16 or 3 of 8`);
}

/** @param {Uint8Array} bytes */
function toHounsfield(bytes) {
  const values = new Int16Array(bytes.length / 2);
  for (let at = 0, from = 0; at < values.length; at += 1, from += 2) {
    values[at] = ((bytes[from] << 8) | bytes[from + 1]) - HOUNSFIELD_OFFSET;
  }
  return values;
}

/** @param {Uint8Array<ArrayBuffer>} file @returns {Promise<Png>} */
export async function decodePng(file) {
  const { width, height, channels, depth, parts } = readChunks(file);
  const step = (channels * depth) / 8;
  const inflated = await new Response(new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
  if (inflated.byteLength !== height * (width * step + 1)) throw new TypeError(`PNG has ${inflated.byteLength} bytes of pixels`);
  return { width, height, channels, depth, bytes: unfilter(new Uint8Array(inflated), width * step, step) };
}

/** @param {Uint8Array<ArrayBuffer>} file */
function readChunks(file) {
  if (ascii(file, 0, 8) !== SIGNATURE) throw new TypeError("File is not a PNG");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [width, height, depth, colour, interlaced] = [view.getUint32(16), view.getUint32(20), file[24], file[25], file[28]];
  if (!CHANNELS[colour] || (depth !== 8 && depth !== 16) || interlaced) throw new TypeError(`PNG of colour type ${colour}, ${depth} bits, is not supported`);
  const parts = [];
  for (let at = 8, type = ""; type !== "IEND"; at += 12 + view.getUint32(at)) {
    type = ascii(file, at + 4, 4);
    if (type === "IDAT") parts.push(file.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  return { width, height, channels: CHANNELS[colour], depth, parts };
}

/** @param {Uint8Array} bytes @param {number} at @param {number} length */
const ascii = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));

/**
 * Undoes the filters of rows (clause 9).
 * @param {Uint8Array} filtered rows, each after the byte of its filter @param {number} stride bytes of a row @param {number} step bytes of a pixel
 */
function unfilter(filtered, stride, step) {
  const bytes = new Uint8Array((filtered.length / (stride + 1)) * stride);
  let above = new Uint8Array(stride);
  for (let from = 0, at = 0; at < bytes.length; from += stride + 1, at += stride) {
    const row = bytes.subarray(at, at + stride);
    row.set(filtered.subarray(from + 1, from + 1 + stride));
    FILTERS[filtered[from]](row, above, step);
    above = row;
  }
  return bytes;
}

/** @type {((row: Uint8Array, above: Uint8Array, step: number) => void)[]} none, sub, up, average, Paeth */
const FILTERS = [
  () => {},
  (row, _, step) => {
    for (let at = step; at < row.length; at += 1) row[at] += row[at - step];
  },
  (row, above) => {
    for (let at = 0; at < row.length; at += 1) row[at] += above[at];
  },
  (row, above, step) => {
    for (let at = 0; at < row.length; at += 1) row[at] += ((at < step ? 0 : row[at - step]) + above[at]) >> 1;
  },
  (row, above, step) => {
    for (let at = 0; at < step; at += 1) row[at] += above[at];
    for (let at = step; at < row.length; at += 1) row[at] += paeth(row[at - step], above[at], above[at - step]);
  },
];

/** @param {number} left @param {number} up @param {number} corner */
function paeth(left, up, corner) {
  const [toLeft, toUp, toCorner] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}
