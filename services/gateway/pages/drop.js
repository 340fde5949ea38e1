// Files and folders dropped anywhere on the page.

import { byId, show } from "./dom.js";

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

// `take` gets [{file, path}]; `complain` the words for what could not be opened.
export function onDrop(take, complain) {
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
      take(await droppedFiles(event.dataTransfer));
    } catch (error) {
      complain(error.message);
    }
  });
}

// The browser empties `items` when the event is over, so all of them are asked for before the first wait.
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files].map((file) => ({ file, path: file.name }));
  return (await Promise.all(entries.map(walk))).flat();
}

async function walk(entry) {
  if (entry.isDirectory) return (await Promise.all((await children(entry)).map(walk))).flat();
  const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
  return [{ file, path: entry.fullPath.replace(/^\//, "") }];
}

// A folder is read in pieces of a hundred names, until an empty piece.
async function children(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const piece = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (piece.length === 0) return found;
    found.push(...piece);
  }
}
