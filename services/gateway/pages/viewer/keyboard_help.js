// The dialog that lists keys and gestures.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";

const ROWS = /** @type {const} */ ([
  ["↓ → · ↑ ←", "viewer.help_slices"],
  ["PgDn PgUp Home End", "viewer.help_jump"],
  ["n p", "viewer.help_key_slices"],
  ["1 2 3 4 5", "viewer.help_presets"],
  ["w m s l e", "viewer.help_tools"],
  ["c", "viewer.help_cross"],
  ["Enter", "viewer.help_point"],
  ["Delete", "viewer.help_delete"],
  ["+ − 0", "viewer.help_zoom"],
  ["Shift + ↓ → ↑ ←", "viewer.help_pan"],
  ["f r", "viewer.help_view"],
  ["h d b B", "viewer.help_overlay"],
  ["Esc", "viewer.help_escape"],
]);

/** @param {readonly (readonly [string, any])[]} keys with the key of each one's text @param {Node | string} more below them */
export function openKeyboardHelp(keys = ROWS, more = t("viewer.help_pointer")) {
  const rows = keys.flatMap(([names, text]) => [element("dt", {}, element("kbd", {}, names)), element("dd", {}, t(text))]);
  const close = element("button", { type: "button", class: "primary" }, t("viewer.help_close"));
  const heading = element("h2", { id: "keyboard-help" }, t("viewer.help"));
  const dialog = element("dialog", { class: "keyboard-help", "aria-labelledby": "keyboard-help" }, heading, element("dl", {}, ...rows), element("p", {}, more), close);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
