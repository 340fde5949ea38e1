// The chosen files: count, total size, and a list from which files can be removed.

import { announce, element, show } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { formatBytes } from "../text.js";

/** @typedef {import("./upload.js").Entry} Entry */

/** A dropped folder has the order of the disk; sorts 2 before 10. @param {Entry} one @param {Entry} other */
const byPath = (one, other) => one.path.localeCompare(other.path, "en", { numeric: true });

export class FileSelection {
  /** @type {Entry[]} */
  entries = [];
  token = ""; // part of the Idempotency-Key: sending the same selection again gives the same job
  chooseFiles = pickerButton("upload.choose_files", {}, (entries) => this.replace(entries));
  chooseFolder = pickerButton("upload.choose_folder", { webkitdirectory: "" }, (entries) => this.replace(entries));
  summary = element("strong", { class: "selection-summary" });
  list = element("details", { class: "selection", hidden: "" }, element("summary", {}, t("upload.show_files")));
  #files = element("ul", { class: "files" });
  #onChange;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    this.list.append(this.#files);
    this.list.addEventListener("toggle", () => this.#draw());
  }

  get bytes() {
    return this.entries.reduce((total, { file }) => total + file.size, 0);
  }

  /** Hidden files too: the service checks contents, and names the files that it sets aside. @param {Entry[]} entries */
  replace(entries) {
    this.entries = [...entries].sort(byPath);
    this.#update();
  }

  /** The next job of the same files is a new one. */
  renewToken() {
    this.token = crypto.getRandomValues(new Uint32Array(4)).join("-");
  }

  #update() {
    this.renewToken();
    const count = this.entries.length;
    this.summary.textContent = count > 0 ? t("upload.chosen", { count, size: formatBytes(this.bytes) }) : "";
    show(this.list, count > 0);
    this.#draw();
    announce(this.summary.textContent);
    this.#onChange();
  }

  /** Only while it is open: a long series has thousands of rows. */
  #draw() {
    this.#files.replaceChildren(...(this.list.open ? this.entries.map((entry) => this.#row(entry)) : []));
  }

  /** @param {Entry} entry */
  #row(entry) {
    const remove = element("button", { type: "button", class: "link-button", "aria-label": t("upload.remove_file", { file: entry.path }) }, t("upload.remove"));
    remove.addEventListener("click", () => this.#remove(entry));
    const size = element("span", { class: "tabular hint" }, formatBytes(entry.file.size));
    return element("li", {}, element("span", { class: "path" }, entry.path), size, remove);
  }

  /** The focus moves to the next row, so that several files can be removed by keyboard. @param {Entry} entry */
  #remove(entry) {
    const at = this.entries.indexOf(entry);
    this.entries.splice(at, 1);
    this.#update();
    const buttons = this.#files.querySelectorAll("button");
    (buttons[Math.min(at, buttons.length - 1)] ?? this.chooseFiles.querySelector("button"))?.focus();
  }
}

/** @param {any} text key of the button's text @param {Record<string, string>} attributes @param {(entries: Entry[]) => void} onFiles */
function pickerButton(text, attributes, onFiles) {
  const picker = element("input", { type: "file", multiple: "", hidden: "", "aria-label": t(text), ...attributes });
  const button = element("button", { type: "button" }, t(text));
  button.addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => {
    const picked = [...(picker.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
    picker.value = ""; // so that choosing a corrected file of the same name is a change
    if (picked.length > 0) onFiles(picked);
  });
  return element("span", {}, button, picker);
}
