// Service worker: holds the session of a tab while it reloads, in memory, for one answer within ten seconds.

const HELD_MS = 10_000;

/** @type {object | undefined} */
let held;

addEventListener("message", (/** @type {any} */ event) => {
  if (event.data.key) {
    held = event.data;
    setTimeout(() => (held = undefined), HELD_MS);
  } else {
    if (held && !event.data.forget) event.source.postMessage(held);
    held = undefined;
  }
});
