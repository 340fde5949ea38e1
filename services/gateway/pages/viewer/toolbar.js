// Tool bar of the viewer: windows, tools and view; each button names its key.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { openKeyboardHelp } from "./keyboard_help.js";
import { TOOLS } from "./tools.js";
import { PRESETS } from "./windowing.js";

/** @typedef {import("./slice_canvas.js").SliceCanvas} SliceCanvas */
/** @typedef {import("./tools.js").Tools} Tools */
/** @typedef {{ button: HTMLElement, isPressed(): boolean }} Toggle */

const CHANNELS = /** @type {const} */ ([["bone", 0], ["subdural", 1], ["soft_tissue", 2], ["all", null]]);
const ZOOM_STEP = 1.25;

/** @param {SliceCanvas} canvas @param {Tools} tools */
export function createToolbar(canvas, tools) {
  const bar = element("div", { class: "tool-bar" });
  const windows = windowGroup(canvas);
  const toggles = [...windows.toggles, ...toolToggles(tools)];
  const update = () => {
    for (const { button, isPressed } of toggles) button.setAttribute("aria-pressed", String(isPressed()));
    windows.update();
  };
  bar.append(...windows.elements, group("viewer.tools", toggles.slice(windows.toggles.length).map(({ button }) => button)), viewGroup(canvas));
  for (const source of [canvas, tools]) for (const name of ["viewchange", "change", "load", "slicechange"]) source.addEventListener(name, update);
  update();
  return bar;
}

/** Presets and numbers of the window; for pictures without Hounsfield units their channels. @param {SliceCanvas} canvas */
function windowGroup(canvas) {
  const presets = PRESETS.map(({ name, centre, width }, at) => ({
    button: keyButton(t(`viewer.window_${name}`), String(at + 1), () => canvas.setWindow(centre, width)),
    isPressed: () => canvas.window.centre === centre && canvas.window.width === width,
  }));
  const channels = CHANNELS.map(([name, channel]) => ({
    button: keyButton(t(`viewer.window_${name}`), "", () => canvas.setChannel(channel)),
    isPressed: () => canvas.channel === channel,
  }));
  const inputs = [numberInput("viewer.centre", "centre", canvas), numberInput("viewer.width", "width", canvas)];
  const windows = group("viewer.window", [...presets.map(({ button }) => button), ...inputs.map(({ label }) => label)]);
  const pictures = group("viewer.channels", [...channels.map(({ button }) => button), element("p", { class: "hint" }, t("viewer.no_hounsfield"))]);
  const update = () => {
    const isPicture = Boolean(canvas.image?.rgb);
    [windows.hidden, pictures.hidden] = [isPicture, !isPicture];
    for (const { input, side } of inputs) if (input !== document.activeElement) input.value = String(canvas.window[side]);
  };
  return { elements: [windows, pictures], toggles: [...presets, ...channels], update };
}

/** @param {"viewer.centre" | "viewer.width"} key @param {"centre" | "width"} side @param {SliceCanvas} canvas */
function numberInput(key, side, canvas) {
  const input = element("input", { type: "number", step: 5, min: side === "width" ? 1 : -2000, max: 8000 });
  input.addEventListener("input", () => {
    const [centre, width] = side === "centre" ? [input.valueAsNumber, canvas.window.width] : [canvas.window.centre, input.valueAsNumber];
    if (Number.isFinite(centre) && width >= 1) canvas.setWindow(centre, width);
  });
  return { input, side, label: element("label", {}, t(key), input) };
}

/** @param {Tools} tools @returns {Toggle[]} */
function toolToggles(tools) {
  const choices = TOOLS.map(({ name, key }) => ({
    button: keyButton(t(`viewer.tool_${name}`), key, () => tools.choose(name)),
    isPressed: () => tools.tool === name,
  }));
  return [...choices, { button: keyButton(t("viewer.cross_hair"), "c", () => tools.toggleCross()), isPressed: () => tools.hasCross }];
}

/** @param {SliceCanvas} canvas */
function viewGroup(canvas) {
  return group("viewer.view", [
    keyButton("−", "-", () => canvas.zoomBy(1 / ZOOM_STEP), t("viewer.zoom_out")),
    keyButton("+", "+", () => canvas.zoomBy(ZOOM_STEP), t("viewer.zoom_in")),
    keyButton("1:1", "0", () => canvas.zoomToPixels(), t("viewer.zoom_pixels")),
    keyButton(t("viewer.flip"), "f", () => canvas.flip()),
    keyButton(t("viewer.reset"), "r", () => canvas.reset()),
    keyButton("?", "?", openKeyboardHelp, t("viewer.help")),
  ]);
}

/** @param {"viewer.window" | "viewer.channels" | "viewer.tools" | "viewer.view"} key @param {HTMLElement[]} children */
const group = (key, children) => element("div", { class: "tool-group", role: "group", "aria-label": t(key) }, ...children);

/** @param {string} text @param {string} key @param {() => void} onClick */
function keyButton(text, key, onClick, name = text) {
  const button = element("button", { type: "button", title: key ? `${name} (${key})` : name });
  button.append(text);
  if (name !== text) button.setAttribute("aria-label", name);
  if (key) button.setAttribute("aria-keyshortcuts", key);
  button.addEventListener("click", onClick);
  return button;
}
