// Service worker: holds the key of a tab while it reloads, in memory, for one answer within ten seconds.

const HELD_MS = 10_000;

/** @type {string | undefined} */
let held;

addEventListener("message", (/** @type {any} */ event) => {
  if (event.data.key) {
    held = event.data.key;
    setTimeout(() => (held = undefined), HELD_MS);
  } else if (held) {
    event.source.postMessage({ key: held });
    held = undefined;
  }
});
