// The keys of the worklist, in a dialog where the reader can switch single-letter keys off (WCAG 2.1.4).

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";

const KEYS = ["j", "k", "Enter", "x", "c", "u", "p", "/", "?"];

export const shortcuts = { on: true };

export function openHelp() {
  const box = element("input", { type: "checkbox" });
  box.checked = shortcuts.on;
  box.addEventListener("change", () => (shortcuts.on = box.checked));
  const rows = KEYS.flatMap((key) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, t(/** @type {any} */ (`help.key_${key}`)))]);
  const dialog = element(
    "dialog",
    { class: "card help", "aria-labelledby": "help-title" },
    element("h2", { id: "help-title" }, t("help.title")),
    element("dl", {}, ...rows),
    element("label", { class: "check" }, box, t("help.shortcuts")),
    element("form", { method: "dialog" }, element("button", { class: "primary" }, t("help.close"))),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
