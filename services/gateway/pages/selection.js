// The selected files: count, total size, and a list from which files can be removed.

import { announce, byId, element, show } from "./dom.js";
import { formatBytes, pluralize } from "./text.js";

// A dropped folder has the order of the disk; sorts 2 before 10.
const byPath = (one, other) => one.path.localeCompare(other.path, "en", { numeric: true });

export class FileSelection {
  // entries: [{file, path}]; the path begins with the chosen folder
  entries = [];
  // Part of the Idempotency-Key: sending the same selection again gives the same job.
  token = "";

  constructor(onChange) {
    this.onChange = onChange;
    byId("clear").addEventListener("click", () => {
      this.replace([]);
      byId("choose-files").focus();
    });
    this.connectPicker("choose-files", "files");
    this.connectPicker("choose-folder", "folder");
    byId("choose-others").addEventListener("click", () => byId("choose-files").click());
    byId("selection").addEventListener("toggle", () => this.renderList());
  }

  connectPicker(button, input) {
    const picker = byId(input);
    byId(button).addEventListener("click", () => picker.click());
    picker.addEventListener("change", () => {
      const picked = [...picker.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      // Emptied, so that choosing a corrected file of the same name is a change.
      picker.value = "";
      if (picked.length > 0) this.replace(picked);
    });
  }

  get size() {
    return this.entries.reduce((total, { file }) => total + file.size, 0);
  }

  // Hidden files too: the service checks contents, and names the files that it sets aside.
  replace(entries) {
    this.entries = [...entries].sort(byPath);
    this.update();
  }

  // Several folders, or a zip, may be several series.
  get mayHoldSeveralSeries() {
    return this.entries.length > 1 || this.entries.some(({ path }) => path.toLowerCase().endsWith(".zip"));
  }

  // Makes the next job of the same selection a new one.
  renewToken() {
    this.token = [...crypto.getRandomValues(new Uint32Array(4))].map((word) => word.toString(16)).join("");
  }

  update() {
    this.renewToken();
    const empty = this.entries.length === 0;
    const summary = empty ? "No files chosen" : `${pluralize(this.entries.length, "file")}, ${formatBytes(this.size)}`;
    byId("selection-summary").textContent = summary;
    show(byId("clear"), !empty);
    show(byId("selection"), !empty);
    this.renderList();
    announce(summary);
    this.onChange();
  }

  // Only while it is open: a long series has thousands of rows.
  renderList() {
    const rows = byId("selection").open ? this.entries.map((entry) => this.row(entry)) : [];
    byId("selection-files").replaceChildren(...rows);
  }

  row(entry) {
    const remove = element("button", { type: "button", class: "link-button" }, "Remove");
    remove.setAttribute("aria-label", `Remove ${entry.path}`);
    remove.addEventListener("click", () => this.remove(entry));
    const size = element("span", { class: "tabular hint" }, formatBytes(entry.file.size));
    return element("li", {}, element("span", { class: "path" }, entry.path), size, remove);
  }

  // The focus moves to the next row, so that several files can be removed by keyboard.
  remove(entry) {
    const at = this.entries.indexOf(entry);
    this.entries.splice(at, 1);
    this.update();
    const buttons = byId("selection-files").querySelectorAll("button");
    (buttons[Math.min(at, buttons.length - 1)] ?? byId("choose-files")).focus();
  }
}
