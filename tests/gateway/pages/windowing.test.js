import assert from "node:assert/strict";
import { test } from "node:test";

import { PRESETS, greyLevels, greyPixels, paintChannels, paintWindow } from "../../../services/gateway/pages/viewer/windowing.js";

const OFFSET = 32768;

test("a window maps its edges to black and white, and rounds half to even", () => {
  const levels = greyLevels(40, 80);
  assert.deepEqual([-1000, 0, 40, 80, 3000].map((hu) => levels[hu + OFFSET]), [0, 0, 128, 255, 255]);
  const halves = greyLevels(255, 510); // 0.5 a unit
  assert.deepEqual([1, 3, 5].map((hu) => halves[hu + OFFSET]), [0, 2, 2]);
});

test("pixels are grey and opaque", () => {
  const pixels = new Uint32Array(3);
  paintWindow(Int16Array.of(-32768, 40, 32767), greyPixels(40, 80), pixels);
  assert.deepEqual([...pixels], [0xff000000, 0xff808080, 0xffffffff]);
});

test("a picture is shown in colour, or one window of it in grey", () => {
  const pixels = new Uint32Array(1);
  paintChannels(Uint8Array.of(1, 2, 3), null, pixels);
  assert.equal(pixels[0], 0xff030201);
  paintChannels(Uint8Array.of(1, 2, 3), 1, pixels);
  assert.equal(pixels[0], 0xff020202);
});

test("the presets are those of head CT", () => {
  assert.deepEqual(
    PRESETS.map(({ name, centre, width }) => [name, centre, width]),
    [["brain", 40, 80], ["subdural", 75, 215], ["stroke", 40, 40], ["bone", 600, 2800], ["soft_tissue", 40, 380]],
  );
});
