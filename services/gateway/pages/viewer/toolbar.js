// Tool bar of the viewer: the commands as buttons, and the window as numbers.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";

/** @typedef {import("./commands.js").Command} Command */
/** @typedef {import("./slice_canvas.js").SliceCanvas} SliceCanvas */

const CHANNELS = /** @type {const} */ ([["bone", 0], ["subdural", 1], ["soft_tissue", 2], ["all", null]]);

/** @param {SliceCanvas} canvas @param {EventTarget} tools @param {Command[]} commands @param {() => void} openHelp */
export function createToolbar(canvas, tools, commands, openHelp) {
  /** @type {Command[]} */
  const channels = CHANNELS.map(([name, channel]) => ({
    group: "window",
    key: "",
    name: t(`viewer.window_${name}`),
    run: () => canvas.setChannel(channel),
    isPressed: () => canvas.channel === channel,
  }));
  const buttons = new Map([...commands, ...channels].map((command) => [command, commandButton(command)]));
  const inputs = /** @type {const} */ (["centre", "width"]).map((side) => numberInput(side, canvas));
  const buttonsOf = (/** @type {Command[]} */ some) => some.map((command) => /** @type {HTMLElement} */ (buttons.get(command)));
  const ofGroup = (/** @type {string} */ name) => buttonsOf(commands.filter(({ group }) => group === name));
  const windows = group("viewer.window", [...ofGroup("window"), ...inputs.map(({ label }) => label)]);
  const pictures = group("viewer.channels", [...buttonsOf(channels), element("p", { class: "hint" }, t("viewer.no_hounsfield"))]);
  const help = commandButton({ group: "view", key: "?", symbol: "?", name: t("viewer.help"), run: openHelp });
  const update = () => {
    [windows.hidden, pictures.hidden] = [Boolean(canvas.image?.rgb), !canvas.image?.rgb];
    for (const [{ isPressed }, button] of buttons) if (isPressed) button.setAttribute("aria-pressed", String(isPressed()));
    for (const { input, side } of inputs) if (input !== document.activeElement) input.value = String(canvas.window[side]);
  };
  for (const name of ["viewchange", "load", "slicechange"]) canvas.addEventListener(name, update);
  tools.addEventListener("change", update);
  update();
  return element("div", { class: "tool-bar" }, windows, pictures, group("viewer.tools", ofGroup("tools")), group("viewer.view", [...ofGroup("view"), help]));
}

/** @param {"centre" | "width"} side @param {SliceCanvas} canvas */
function numberInput(side, canvas) {
  const input = element("input", { type: "number", step: 5, min: side === "width" ? 1 : -2000, max: 8000 });
  input.addEventListener("input", () => {
    const [centre, width] = side === "centre" ? [input.valueAsNumber, canvas.window.width] : [canvas.window.centre, input.valueAsNumber];
    if (Number.isFinite(centre) && width >= 1) canvas.setWindow(centre, width);
  });
  return { input, side, label: element("label", {}, t(`viewer.${side}`), input) };
}

/** @param {"viewer.window" | "viewer.channels" | "viewer.tools" | "viewer.view"} key @param {HTMLElement[]} children */
const group = (key, children) => element("div", { class: "tool-group", role: "group", "aria-label": t(key) }, ...children);

/** @param {Command} command */
function commandButton({ key, name, symbol = name, run }) {
  const button = element("button", { type: "button", title: key ? `${name} (${key})` : name, "aria-label": name }, symbol);
  if (key) button.setAttribute("aria-keyshortcuts", key);
  button.addEventListener("click", run);
  return button;
}
