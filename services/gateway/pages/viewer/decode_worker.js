// Decodes slices beside the page's thread, so that scrolling stays smooth.

import { decodeSlice } from "./png.js";

addEventListener("message", async ({ data: { id, file } }) => {
  try {
    const image = await decodeSlice(file);
    const pixels = image.hounsfield ?? image.rgb;
    postMessage({ id, image }, { transfer: pixels ? [pixels.buffer] : [] });
  } catch (error) {
    postMessage({ id, problem: String(error) });
  }
});
