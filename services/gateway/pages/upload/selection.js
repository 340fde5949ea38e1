// The chosen files: count, total size, and a list from which files can be removed.

import { announce, button, element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { formatBytes } from "../text.js";

/** @typedef {import("./upload.js").Entry} Entry */

/** A dropped folder has the order of the disk; sorts 2 before 10. @param {Entry} one @param {Entry} other */
const byPath = (one, other) => one.path.localeCompare(other.path, "en", { numeric: true });

export class FileSelection {
  /** @type {Entry[]} */
  entries = [];
  token = ""; // part of the Idempotency-Key: sending the same selection again gives the same job
  chooseFiles = picker("upload.choose_files", {}, (entries) => this.replace(entries));
  chooseFolder = picker("upload.choose_folder", { webkitdirectory: "" }, (entries) => this.replace(entries));
  summary = element("strong", { class: "selection-summary" });
  #files = element("ul", { class: "files" });
  list = element("details", { class: "selection" }, element("summary", {}, t("upload.show_files")), this.#files);
  #onChange;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    this.list.addEventListener("toggle", () => this.#draw());
  }

  get bytes() {
    return this.entries.reduce((total, { file }) => total + file.size, 0);
  }

  /** Hidden files too: the service checks contents, and names the files that it sets aside. @param {Entry[]} entries */
  replace(entries) {
    this.entries = [...entries].sort(byPath);
    this.renewToken();
    const count = entries.length;
    this.summary.textContent = count > 0 ? t("upload.chosen", { count, size: formatBytes(this.bytes) }) : "";
    this.#draw();
    announce(this.summary.textContent);
    this.#onChange();
  }

  /** The next job of the same files is a new one. */
  renewToken() {
    this.token = crypto.getRandomValues(new Uint32Array(4)).join("-");
  }

  /** Only while it is open: a long series has thousands of rows. */
  #draw() {
    this.#files.replaceChildren(...(this.list.open ? this.entries.map((entry, at) => this.#row(entry, at)) : []));
  }

  /** The focus moves to the next row, so that several files can be removed by keyboard. @param {Entry} entry @param {number} at */
  #row({ file, path }, at) {
    const remove = () => {
      this.replace(this.entries.toSpliced(at, 1));
      const buttons = this.#files.querySelectorAll("button");
      (buttons[Math.min(at, buttons.length - 1)] ?? this.chooseFiles.querySelector("button")).focus();
    };
    const node = button(t("upload.remove"), remove, { class: "link-button", "aria-label": t("upload.remove_file", { file: path }) });
    return element("li", {}, element("span", { class: "path" }, path), element("span", { class: "tabular hint" }, formatBytes(file.size)), node);
  }
}

/** @param {any} text key of the button's text @param {Record<string, string>} attributes @param {(entries: Entry[]) => void} onFiles */
function picker(text, attributes, onFiles) {
  const input = element("input", { type: "file", multiple: "", hidden: "", "aria-label": t(text), ...attributes });
  input.addEventListener("change", () => {
    const picked = [...(input.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
    input.value = ""; // so that choosing a corrected file of the same name is a change
    if (picked.length > 0) onFiles(picked);
  });
  return element("span", {}, button(t(text), () => input.click()), input);
}
