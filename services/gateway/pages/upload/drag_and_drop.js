// Files and folders dropped anywhere on the page.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";

/** @typedef {import("./upload.js").Entry} Entry */

/** @param {DragEvent} event */
const hasFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;

/** Calls `onError(message)` where a file cannot be opened. @param {(entries: Entry[]) => void} onFiles @param {(message: string) => void} onError */
export function onFilesDropped(onFiles, onError) {
  const zone = element("div", { class: "dropzone", "aria-hidden": "true" }, element("p", {}, t("upload.drop_here")));
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    document.body.append(zone);
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && zone.remove());
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    zone.remove();
    try {
      onFiles(await droppedFiles(/** @type {DataTransfer} */ (event.dataTransfer)));
    } catch (error) {
      onError(/** @type {Error} */ (error).message);
    }
  });
}

/** The browser empties `items` after the event, so all entries are read before the first `await`. @param {DataTransfer} transfer */
async function droppedFiles(transfer) {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry?.() ?? []);
  if (entries.length === 0) return [...transfer.files].map((file) => ({ file, path: file.name }));
  return (await Promise.all(entries.map(listFiles))).flat();
}

/** @param {any} entry FileSystemEntry @returns {Promise<Entry[]>} */
async function listFiles(entry) {
  if (entry.isDirectory) return (await Promise.all((await readFolder(entry)).map(listFiles))).flat();
  const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
  return [{ file, path: entry.fullPath.replace(/^\//, "") }];
}

/** `readEntries` returns at most a hundred entries; an empty batch is the end. @param {FileSystemDirectoryEntry} folder */
async function readFolder(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const batch = /** @type {FileSystemEntry[]} */ (await new Promise((resolve, reject) => reader.readEntries(resolve, reject)));
    if (batch.length === 0) return entries;
    entries.push(...batch);
  }
}
