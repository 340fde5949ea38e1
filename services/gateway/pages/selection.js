// What is going to be sent: shown with count and size, and changed file by file.

import { announce, byId, element, show } from "./dom.js";
import { bytes, counted } from "./text.js";

// A dropped folder comes in the order of the disk; people read 2 before 10.
const byPath = (one, other) => one.path.localeCompare(other.path, "en", { numeric: true });

export class Chosen {
  // entries: [{file, path}], where the path is the name inside the folder that was chosen.
  entries = [];
  // Of the Idempotency-Key: the same choice, sent again after a break, is the same job.
  token = "";

  constructor(onChange) {
    this.onChange = onChange;
    byId("clear").addEventListener("click", () => {
      this.replace([]);
      byId("choose-files").focus();
    });
    this.pickWith("choose-files", "files");
    this.pickWith("choose-folder", "folder");
    byId("choose-others").addEventListener("click", () => byId("choose-files").click());
    byId("chosen").addEventListener("toggle", () => this.list());
  }

  pickWith(button, input) {
    const picker = byId(input);
    byId(button).addEventListener("click", () => picker.click());
    picker.addEventListener("change", () => {
      const picked = [...picker.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      // Emptied, so that choosing the same file again, mended, is a change too.
      picker.value = "";
      if (picked.length > 0) this.replace(picked);
    });
  }

  get size() {
    return this.entries.reduce((total, { file }) => total + file.size, 0);
  }

  // Hidden files, too: the service judges files by their content, and names those that it sets aside.
  replace(entries) {
    this.entries = [...entries].sort(byPath);
    this.changed();
  }

  // Several folders, or a zip, may be several series.
  get maybeSeveral() {
    return this.entries.length > 1 || this.entries.some(({ path }) => path.toLowerCase().endsWith(".zip"));
  }

  // From now on the same choice is another job.
  renewToken() {
    this.token = [...crypto.getRandomValues(new Uint32Array(4))].map((word) => word.toString(16)).join("");
  }

  changed() {
    this.renewToken();
    const nothing = this.entries.length === 0;
    const summary = nothing ? "No file is chosen" : `${counted(this.entries.length, "file")}, ${bytes(this.size)}`;
    byId("chosen-summary").textContent = summary;
    show(byId("clear"), !nothing);
    show(byId("chosen"), !nothing);
    this.list();
    announce(summary);
    this.onChange();
  }

  // Only while it is open: a long series has thousands of rows.
  list() {
    const rows = byId("chosen").open ? this.entries.map((entry) => this.row(entry)) : [];
    byId("chosen-files").replaceChildren(...rows);
  }

  row(entry) {
    const remove = element("button", { type: "button", class: "plain" }, "Remove");
    remove.setAttribute("aria-label", `Remove ${entry.path}`);
    remove.addEventListener("click", () => this.remove(entry));
    const size = element("span", { class: "numbers hint" }, bytes(entry.file.size));
    return element("li", {}, element("span", { class: "path" }, entry.path), size, remove);
  }

  // The focus stays where the row was, so that a keyboard can remove several in a row.
  remove(entry) {
    const at = this.entries.indexOf(entry);
    this.entries.splice(at, 1);
    this.changed();
    const buttons = byId("chosen-files").querySelectorAll("button");
    (buttons[Math.min(at, buttons.length - 1)] ?? byId("choose-files")).focus();
  }
}
