// Files and folders dropped anywhere on the page.

import { byId, show } from "./dom.js";

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

// Calls `onFiles([{file, path}])`, or `onError(message)` where a file cannot be opened.
export function onFilesDropped(onFiles, onError) {
  const zone = byId("dropzone");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    show(zone);
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) show(zone, false);
  });
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    show(zone, false);
    try {
      onFiles(await droppedFiles(event.dataTransfer));
    } catch (error) {
      onError(error.message);
    }
  });
}

// The browser empties `items` after the event, so all entries are read before the first `await`.
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files].map((file) => ({ file, path: file.name }));
  return (await Promise.all(entries.map(listFiles))).flat();
}

async function listFiles(entry) {
  if (entry.isDirectory) return (await Promise.all((await readFolder(entry)).map(listFiles))).flat();
  const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
  return [{ file, path: entry.fullPath.replace(/^\//, "") }];
}

// `readEntries` returns at most a hundred entries; an empty batch is the end.
async function readFolder(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return entries;
    entries.push(...batch);
  }
}
