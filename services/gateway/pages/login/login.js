// Asks the reader to log in, or for a key, where the gateway requires one. One dialog serves all waiting requests.

import { element } from "../dom.js";
import { RequestError } from "../errors.js";
import { t } from "../i18n/i18n.js";
import { parseJson } from "../json.js";
import { authHeaders, changes, currentSession, hasEnded, share } from "../session.js";
import { beginLogin, finishLogin, renewTokens } from "./oidc.js";

const LOGIN = /** @type {const} */ (["login.required", "login.unknown", "login.hint", "login.cancelled"]);
const FRESH_MS = 10_000;
const KEY = /** @type {const} */ (["key.required", "key.unknown", "key.hint", "key.cancelled"]);

/** @type {Promise<void> | undefined} */
let renewal;
let problem = ""; // of the last login

/** Takes the tokens, where the provider has just returned to the page. */
export const resumeLogin = () => finishLogin().catch((error) => (problem = error.message));

/**
 * Waits for another session than the refused one: of another tab, by renewal, else the reader's.
 * @param {Record<string, string>} refused headers of the refused request @param {string} text of the refusal
 * @throws {RequestError} where the reader closes the dialog
 */
export async function renewSession(refused, text) {
  if (hasEnded()) return new Promise(() => undefined); // the document ends
  if (refused.authorization !== authHeaders().authorization) return;
  const fresh = Date.now() - (currentSession()?.at ?? 0) < FRESH_MS; // the gateway takes no tokens of this login
  renewal ??= (fresh ? Promise.resolve(false) : renewTokens())
    .then((found) => (found ? undefined : askReader(currentSession()?.client && parseJson(text)?.detail)))
    .finally(() => (renewal = undefined));
  await renewal;
}

/** @param {string} [reason] of a refused token */
async function askReader(reason) {
  const response = await fetch("v1/login", { cache: "no-store" }).catch(() => undefined);
  const login = (response?.ok && parseJson(await response.text())) || { required: false, key: true, oidc: null };
  problem ||= reason ?? "";
  return askFor(login).finally(() => (problem = ""));
}

/** @param {{ required: boolean, key: boolean, oidc: any }} login @returns {Promise<void>} */
function askFor({ required, key, oidc }) {
  const [asks, unknown, hint, cancelled] = oidc ? LOGIN : KEY;
  const title = element("h2", { id: "login-title" }, t(currentSession() ? unknown : asks));
  const alert = element("p", { class: "problem-note", role: "alert" }, problem);
  const proxy = required && !key && !oidc;
  const dialog = element("dialog", { id: "login", class: "card", "aria-labelledby": "login-title" }, title, element("p", { class: "hint" }, t(proxy ? "login.proxy" : hint)), alert);
  if (oidc) dialog.append(loginForm(oidc, alert));
  if (key || !required) dialog.append(keyForm(title, alert));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve, reject) => {
    const end = () => {
      dialog.remove();
      resolve();
    };
    changes.addEventListener("session", end, { once: true });
    dialog.addEventListener("cancel", () => {
      dialog.remove();
      reject(new RequestError({ title: t(asks), detail: t(cancelled), status: 401 }));
    });
  });
}

/** @param {any} oidc @param {HTMLElement} alert */
function loginForm(oidc, alert) {
  const form = element("form", { method: "dialog" }, element("p", { class: "row" }, element("button", { class: "primary" }, t("login.begin"))));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    beginLogin(oidc).catch((error) => (alert.textContent = error.message));
  });
  return form;
}

/** @param {HTMLElement} title @param {HTMLElement} alert */
function keyForm(title, alert) {
  const input = element("input", { type: "password", id: "key-input", autocomplete: "off", spellcheck: "false", required: "" });
  const row = element("p", { class: "row" }, input, element("button", { class: "primary" }, t("key.use")));
  const form = element("form", { method: "dialog" }, element("label", { for: "key-input" }, t("key.label")), row);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const entered = input.value.trim();
    const refusal = await refusalOf(entered);
    if (refusal === undefined) return share({ key: entered, at: Date.now() });
    title.textContent = t("key.unknown");
    alert.textContent = refusal;
    input.select();
  });
  return form;
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
