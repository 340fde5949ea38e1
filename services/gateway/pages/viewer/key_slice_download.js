// The current slice as drawn, with legend, probabilities and disclaimer burned in, as a PNG to download.

import { t } from "../i18n/i18n.js";
import { saveFile } from "../dom.js";
import { formatProbability, labelName } from "../text.js";
import { colourOf } from "./overlay_layer.js";

/** @typedef {import("./slice_canvas.js").SliceCanvas} SliceCanvas */
/** Text of a line, and the label whose colour stands before it. @typedef {{ text: string, label?: string }} Line */

const SIDE = 1024;
const [LINE_PX, MARGIN_PX] = [30, 24];

/** @param {SliceCanvas} canvas @param {string} job @param {number} number of the series @param {Line[]} captions of the overlays */
export async function downloadKeySlice(canvas, job, number, captions) {
  const measure = styled(new OffscreenCanvas(1, 1));
  const lines = [...describe(canvas), ...captions, { text: canvas.report.disclaimer }].flatMap((line) => wrap(line, measure));
  const picture = new OffscreenCanvas(SIDE, SIDE + lines.length * LINE_PX + MARGIN_PX);
  const context = styled(picture);
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(canvas.snapshot(SIDE), 0, 0);
  context.fillStyle = "white";
  drawMarks(context, canvas.marks);
  for (const [at, line] of lines.entries()) drawLine(context, line, SIDE + (at + 1) * LINE_PX);
  saveFile(await picture.convertToBlob({ type: "image/png" }), `key-slice-${job}-${number}-${canvas.index + 1}.png`);
}

/** @param {SliceCanvas} canvas @returns {Line[]} */
function describe({ slice, report, window, image }) {
  const place = t("key_slice.place", { number: slice.index + 1, count: report.slices.length });
  const grey = image?.hounsfield ? `; ${t("key_slice.window", window)}` : "";
  const shown = Object.entries(slice.probabilities ?? {}).map(([label, value]) => `${labelName(label)} ${formatProbability(value)}`);
  const probabilities = shown.length > 0 ? t("key_slice.probabilities", { list: shown.join(", ") }) : t("report.no_probabilities");
  return [{ text: place + grey }, { text: probabilities }];
}

/** @param {OffscreenCanvas} canvas */
function styled(canvas) {
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.font = "20px system-ui, sans-serif";
  return context;
}

/** Parts that fit. @param {Line} line @param {OffscreenCanvasRenderingContext2D} context @returns {Line[]} */
function wrap({ text, label }, context) {
  const parts = [{ text: "", label }];
  for (const word of text.split(" ")) {
    const longer = `${parts[parts.length - 1].text} ${word}`.trim();
    if (context.measureText(longer).width > SIDE - 3 * MARGIN_PX) parts.push({ text: word, label: undefined });
    else parts[parts.length - 1].text = longer;
  }
  return parts;
}

/** @param {OffscreenCanvasRenderingContext2D} context @param {Line} line @param {number} y of the baseline */
function drawLine(context, { text, label }, y) {
  context.fillStyle = label ? colourOf(label) : "white";
  if (label) context.fillRect(MARGIN_PX, y - 16, 18, 18);
  context.fillStyle = "white";
  context.fillText(text, MARGIN_PX + (label ? 28 : 0), y);
}

/** @param {OffscreenCanvasRenderingContext2D} context @param {SliceCanvas["marks"]} marks */
function drawMarks(context, marks) {
  const [middle, end] = [SIDE / 2, SIDE - MARGIN_PX];
  const places = /** @type {const} */ ([["left", 10, middle], ["right", end, middle], ["top", middle, MARGIN_PX + 4], ["bottom", middle, SIDE - 10]]);
  for (const [side, x, y] of places) context.fillText(marks?.[side] ?? "", x, y);
}
