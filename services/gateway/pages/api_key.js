// The bearer key or token, where the gateway requires one. This module's memory holds it, and nothing that lasts:
// other tabs of this origin get it by BroadcastChannel, a reloaded tab from the memory of `key_worker.js`.

import { parseJson, RequestError } from "./errors.js";
import { element } from "./dom.js";
import { t } from "./i18n/i18n.js";

const ANSWER_MS = 300; // a tab that is open answers within a few milliseconds

/** @type {string | undefined} */
let key;
/** @type {Promise<void> | undefined} */
let renewal;
const waiting = new EventTarget(); // `key`: another tab has sent one
const tabs = new BroadcastChannel("ich-key");
const workers = navigator.serviceWorker; // undefined where the page comes neither by HTTPS nor from this machine
/** @type {ServiceWorkerRegistration | undefined} */
let worker;

tabs.addEventListener("message", ({ data }) => {
  if (data.key) accept(data.key);
  else if (key) tabs.postMessage({ key });
});
workers?.addEventListener("message", ({ data }) => data.key && accept(data.key));
workers?.startMessages();
addEventListener("pagehide", () => key && worker?.active?.postMessage({ key }));

/** @returns {Record<string, string>} */
export const authHeaders = () => (key ? { authorization: `Bearer ${key}` } : {});

/**
 * Waits for another key than the refused one: of another tab, else the reader's. One form serves all waiting requests.
 * @param {Record<string, string>} refused headers of the refused request
 * @throws {RequestError} where the reader closes the form
 */
export async function renewKey(refused) {
  if (refused.authorization !== authHeaders().authorization) return;
  renewal ??= askOthers()
    .then((found) => (found ? undefined : askReader()))
    .finally(() => (renewal = undefined));
  await renewal;
}

/** @param {string} found */
function accept(found) {
  key = found;
  workers?.register(new URL("key_worker.js", import.meta.url)).then((registration) => (worker = registration), () => undefined);
  waiting.dispatchEvent(new Event("key"));
}

/** Whether a tab or the worker had a new key. @returns {Promise<boolean>} */
async function askOthers() {
  const refused = key;
  const answered = new Promise((resolve) => waiting.addEventListener("key", resolve, { once: true }));
  tabs.postMessage({});
  workers?.getRegistration().then((found) => found?.active?.postMessage({}));
  await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, ANSWER_MS))]);
  return key !== refused;
}

/** @returns {Promise<void>} */
function askReader() {
  const input = element("input", { type: "password", id: "key-input", autocomplete: "off", spellcheck: "false", required: "" });
  const title = element("h2", { id: "key-title" }, t(key ? "key.unknown" : "key.required"));
  const problem = element("p", { class: "problem-note", role: "alert" });
  const form = element(
    "form",
    { method: "dialog" },
    title,
    element("p", { class: "hint" }, t("key.hint")),
    problem,
    element("label", { for: "key-input" }, t("key.label")),
    element("p", { class: "row" }, input, element("button", { class: "primary" }, t("key.use"))),
  );
  const dialog = element("dialog", { id: "key", class: "card", "aria-labelledby": "key-title" }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve, reject) => {
    const end = () => {
      dialog.remove();
      resolve();
    };
    waiting.addEventListener("key", end, { once: true });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const entered = input.value.trim();
      const refusal = await refusalOf(entered);
      if (refusal === undefined) return share(entered);
      title.textContent = t("key.unknown");
      problem.textContent = refusal;
      input.select();
    });
    dialog.addEventListener("cancel", () => {
      dialog.remove();
      reject(new RequestError({ title: t("key.required"), detail: t("key.cancelled"), status: 401 }));
    });
  });
}

/** Why the gateway refuses a key, by one request: it counts wrong ones. @param {string} entered */
async function refusalOf(entered) {
  try {
    const response = await fetch("v1/jobs?limit=1", { headers: { authorization: `Bearer ${entered}` }, cache: "no-store" });
    return [401, 429].includes(response.status) ? String(parseJson(await response.text())?.detail ?? "") : undefined;
  } catch (error) {
    return String(error); // no answer, or a character that no header takes
  }
}

/** @param {string} entered */
function share(entered) {
  accept(entered);
  tabs.postMessage({ key });
}
