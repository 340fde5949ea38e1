// Decodes slices in one worker for all views.

/** @typedef {import("./png.js").SliceImage} SliceImage */

/** @type {Worker | undefined} */
let worker;
let last = 0;
/** @type {Map<number, { resolve(image: SliceImage): void, reject(error: Error): void }>} */
const waiting = new Map();

/** @param {Uint8Array<ArrayBuffer>} file @returns {Promise<SliceImage>} */
export function decodeInWorker(file) {
  worker ??= startWorker();
  last += 1;
  const id = last;
  worker.postMessage({ id, file }, [file.buffer]);
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

function startWorker() {
  const started = new Worker(new URL("decode_worker.js", import.meta.url), { type: "module" });
  started.addEventListener("message", ({ data: { id, image, problem } }) => {
    const { resolve, reject } = /** @type {any} */ (waiting.get(id));
    waiting.delete(id);
    if (image) resolve(image);
    else reject(new Error(problem));
  });
  started.addEventListener("error", () => {
    for (const { reject } of waiting.values()) reject(new Error("The decoder of slices did not start"));
    waiting.clear();
    worker = undefined;
  });
  return started;
}
