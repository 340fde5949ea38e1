// The reader's key or tokens. This module's memory holds them, and nothing that lasts:
// other tabs of this origin get them by BroadcastChannel, a reloaded tab from the memory of `key_worker.js`.

const ANSWER_MS = 300; // a tab that is open answers within a few milliseconds

/**
 * A key of the site's file, or an access token (`key`) with what came with it. Of two sessions the later one holds.
 * @typedef {{ issuer: string, client_id: string }} Client
 * @typedef {{ key: string, at: number, client?: Client, expires?: number, refresh?: string, idToken?: string, name?: string, roles?: string[] }} Session
 */

/** @type {Session | undefined} */
let session;
let ended = false; // the reader has logged out, and this document is about to end
export const changes = new EventTarget(); // `session`: there is a new one
const tabs = new BroadcastChannel("ich-key");
const workers = navigator.serviceWorker; // undefined where the page comes neither by HTTPS nor from this machine
/** @type {ServiceWorkerRegistration | undefined} */
let worker;

tabs.addEventListener("message", ({ data }) => {
  if (data.forget) end().then(() => location.reload());
  else if (data.key) take(data);
  else if (session) tabs.postMessage(session);
});
workers?.addEventListener("message", ({ data }) => data.key && take(data));
workers?.startMessages();
addEventListener("pagehide", () => session && worker?.active?.postMessage(session));

export const currentSession = () => session;
export const hasEnded = () => ended;

/** @returns {Record<string, string>} */
export const authHeaders = () => (session ? { authorization: `Bearer ${session.key}` } : {});

/** Whether a tab or the worker had a later session. @returns {Promise<boolean>} */
export async function askOthers() {
  const before = session;
  const answered = new Promise((resolve) => changes.addEventListener("session", resolve, { once: true }));
  tabs.postMessage({});
  workers?.getRegistration().then((found) => found?.active?.postMessage({}));
  await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, ANSWER_MS))]);
  return session !== before;
}

/** Holds a session in all tabs. @param {Session} found */
export function share(found) {
  take(found);
  tabs.postMessage(found);
}

/** Ends the session in all tabs; each other one loads anew. */
export function forget() {
  tabs.postMessage({ forget: true });
  return end();
}

/** @param {Session} found */
function take(found) {
  if (ended || (session && found.at <= session.at)) return;
  session = found;
  workers?.register(new URL("key_worker.js", import.meta.url)).then((registration) => (worker = registration), () => undefined);
  changes.dispatchEvent(new Event("session"));
}

async function end() {
  [ended, session] = [true, undefined];
  worker?.active?.postMessage({ forget: true });
}
