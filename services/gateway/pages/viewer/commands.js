// What the viewer does by a key and by a button: one table for the tool bar, the keyboard and its help.

import { t } from "../i18n/i18n.js";
import { openKeyboardHelp } from "./keyboard_help.js";
import { PRESETS } from "./windowing.js";

/** `symbol` stands on the button instead of the name. `isPressed` is of commands that stay on.
 * @typedef {{ group: "window" | "tools" | "view", key: string, name: string, symbol?: string, run(): void, isPressed?(): boolean }} Command */

/** Keys that move and measure, beside those of the commands. */
const MOVES = /** @type {const} */ ([
  ["↓ → · ↑ ←", "viewer.help_slices"],
  ["PgDn PgUp Home End", "viewer.help_jump"],
  ["n p", "viewer.help_key_slices"],
  ["Shift + ↓ → ↑ ←", "viewer.help_pan"],
  ["Enter", "viewer.help_point"],
  ["Delete", "viewer.help_delete"],
  ["Esc", "viewer.help_escape"],
  ["h d b B", "viewer.help_overlay"],
]);
const ZOOM_STEP = 1.25;
const TOOLS = /** @type {const} */ ([["window", "w"], ["pan", "m"], ["scroll", "s"], ["ruler", "l"], ["ellipse", "e"]]);

/** @param {import("./slice_canvas.js").SliceCanvas} canvas @param {import("./tools.js").Tools} tools @returns {Command[]} */
export function createCommands(canvas, tools) {
  return [
    ...PRESETS.map(({ name, centre, width }, at) => ({
      group: /** @type {const} */ ("window"),
      key: String(at + 1),
      name: t(`viewer.window_${name}`),
      run: () => canvas.setWindow(centre, width),
      isPressed: () => canvas.window.centre === centre && canvas.window.width === width,
    })),
    ...TOOLS.map(([name, key]) => ({
      group: /** @type {const} */ ("tools"),
      key,
      name: t(`viewer.tool_${name}`),
      run: () => tools.choose(name),
      isPressed: () => tools.tool === name,
    })),
    { group: "tools", key: "c", name: t("viewer.cross_hair"), run: () => tools.toggleCross(), isPressed: () => tools.hasCross },
    { group: "view", key: "-", symbol: "−", name: t("viewer.zoom_out"), run: () => canvas.zoomBy(1 / ZOOM_STEP) },
    { group: "view", key: "+", symbol: "+", name: t("viewer.zoom_in"), run: () => canvas.zoomBy(ZOOM_STEP) },
    { group: "view", key: "0", symbol: "1:1", name: t("viewer.zoom_pixels"), run: () => canvas.zoomToPixels() },
    { group: "view", key: "f", name: t("viewer.flip"), run: () => canvas.flip() },
    { group: "view", key: "r", name: t("viewer.reset"), run: () => canvas.reset() },
  ];
}

/** @param {Command[]} commands */
export function openViewerHelp(commands) {
  const rows = [...MOVES.map(([keys, text]) => [keys, t(text)]), ...commands.map(({ key, name }) => [key, name])];
  openKeyboardHelp(rows, t("viewer.help_pointer"));
}
