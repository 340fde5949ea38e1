// The dialog that lists keys and gestures.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";

/** @param {string[][]} rows keys and their text @param {Node | string} more below them */
export function openKeyboardHelp(rows, more) {
  const list = rows.flatMap(([keys, text]) => [element("dt", {}, element("kbd", {}, keys)), element("dd", {}, text)]);
  const close = element("button", { type: "button", class: "primary" }, t("viewer.help_close"));
  const heading = element("h2", { id: "keyboard-help" }, t("viewer.help"));
  const dialog = element("dialog", { class: "keyboard-help", "aria-labelledby": "keyboard-help" }, heading, close, element("dl", {}, ...list), element("p", {}, more));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
