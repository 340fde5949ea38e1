import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

import { decodeSlice } from "../../../services/gateway/pages/viewer/png.js";

const WIDTH = 7;
const FILTERS = ["none", "sub", "up", "average", "paeth"];

function chunk(type, content) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, Buffer.from(type, "ascii"), content, Buffer.alloc(4)]);
}

function png({ height, depth = 16, colour = 0, interlaced = 0 }, rows) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(WIDTH, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlaced], 8);
  const pixels = deflateSync(rows);
  const parts = [pixels.subarray(0, 9), pixels.subarray(9)].map((part) => chunk("IDAT", part));
  const signature = Buffer.from("89504e470d0a1a0a", "hex");
  return new Uint8Array(Buffer.concat([signature, chunk("IHDR", header), chunk("tEXt", Buffer.from("a note")), ...parts, chunk("IEND", Buffer.alloc(0))]));
}

// The filters of ISO/IEC 15948, 9.2, as an encoder applies them.
function filtered(type, rows, step) {
  return Buffer.concat(
    rows.map((row, number) => {
      const above = rows[number - 1] ?? Buffer.alloc(row.length);
      const bytes = row.map((value, at) => {
        const [a, b, c] = [at < step ? 0 : row[at - step], above[at], at < step ? 0 : above[at - step]];
        const [da, db, dc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
        const paeth = da <= db && da <= dc ? a : db <= dc ? b : c;
        return value - [0, a, b, (a + b) >> 1, paeth][type];
      });
      return Buffer.concat([Buffer.of(type), Buffer.from(bytes)]);
    }),
  );
}

function rowsOf(values) {
  return Array.from({ length: values.length / WIDTH }, (_, row) => {
    const bytes = Buffer.alloc(2 * WIDTH);
    for (let at = 0; at < WIDTH; at += 1) bytes.writeUInt16BE(values[row * WIDTH + at] + 32768, 2 * at);
    return bytes;
  });
}

const VALUES = [-32768, 32767, 0, -1, 1, 255, 256, -1000, 40, 41, 39, 3071, -1024, 12, 80, 75, 79, 81, 600, 2800, -999];

for (const [type, name] of FILTERS.entries()) {
  test(`all 16 bits are kept under the filter ${name}`, async () => {
    const image = await decodeSlice(png({ height: 3 }, filtered(type, rowsOf(VALUES), 2)));
    assert.deepEqual([image.width, image.height, image.rgb], [WIDTH, 3, null]);
    assert.deepEqual([...image.hounsfield], VALUES);
  });
}

test("a picture of three windows stays in RGB", async () => {
  const rows = [0, 1].map((row) => Buffer.from(Array.from({ length: 3 * WIDTH }, (_, at) => (row * 97 + at * 41) % 256)));
  const image = await decodeSlice(png({ height: 2, depth: 8, colour: 2 }, filtered(4, rows, 3)));
  assert.equal(image.hounsfield, null);
  assert.deepEqual(Buffer.from(image.rgb), Buffer.concat(rows));
});

test("other files are refused, and cut ones", async () => {
  await assert.rejects(decodeSlice(new Uint8Array(64)), /not a PNG/);
  await assert.rejects(decodeSlice(png({ height: 1, interlaced: 1 }, Buffer.alloc(15))), /not supported/);
  await assert.rejects(decodeSlice(png({ height: 1, depth: 8 }, Buffer.alloc(8))), /1 channels of 8 bits/);
  await assert.rejects(decodeSlice(png({ height: 3 }, filtered(0, rowsOf(VALUES), 2).subarray(0, 30))), /bytes of pixels/);
});
