// OpenID Connect: authorization code with PKCE (RFC 7636, S256) as a public client; renewal by rotating refresh tokens.

import { language, t } from "../i18n/i18n.js";
import { parseJson } from "../json.js";
import { askOthers, changes, currentSession, forget, share } from "../session.js";
import { answer, keep, kept } from "./redirect.js";

const [TIMEOUT_MS, RETRY_MS] = [10_000, 10_000];
const MOST_MS = 86_400_000; // browsers take delays beyond 24 days as none
const EARLY_MS = 60_000; // renewed so long before its end, of a short life at four fifths
const HOME = new URL("..", import.meta.url).href; // the address to which the provider returns

/** @typedef {import("../session.js").Client} Client */

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
changes.addEventListener("session", () => {
  const { refresh, expires = 0, at } = /** @type {import("../session.js").Session} */ (currentSession());
  clearTimeout(timer);
  if (refresh) timer = setTimeout(renewTokens, Math.min(Math.max(expires - Date.now() - Math.min(EARLY_MS, (expires - at) / 5), 0), MOST_MS));
});

/** Leaves the page for the provider. @param {Client & { scopes: string }} settings @throws {Error} */
export async function beginLogin({ issuer, client_id, scopes }) {
  if (!crypto.subtle) throw new Error(t("login.problem_insecure"));
  const provider = await discover(issuer);
  const [state, nonce, verifier] = [0, 1, 2].map(() => encode(crypto.getRandomValues(new Uint8Array(32))));
  const challenge = encode(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
  const modes = provider.response_modes_supported ?? ["fragment"];
  keep({ client: { issuer, client_id }, state, nonce, verifier, address: location.search + location.hash });
  leave(provider.authorization_endpoint, {
    response_type: "code",
    ...(modes.includes("fragment") ? { response_mode: "fragment" } : {}),
    ...{ client_id, scope: scopes, ui_locales: language, redirect_uri: HOME, state, nonce, code_challenge: challenge, code_challenge_method: "S256" },
  });
}

/** Takes the tokens, where the provider has just returned to the page. @throws {Error} */
export async function finishLogin() {
  if (!answer) return;
  const { client, state, nonce, verifier } = kept ?? {};
  if (!client || answer.get("state") !== state || (answer.get("iss") ?? client.issuer) !== client.issuer) throw new Error(t("login.problem_state"));
  if (!answer.has("code")) throw refused(answer.get("error_description") ?? answer.get("error"));
  const code = { grant_type: "authorization_code", code: answer.get("code"), redirect_uri: HOME, code_verifier: verifier };
  share(await fetchTokens(client, code, nonce));
}

/** Whether there are new tokens: of another tab, else by this one's refresh token, which is good for one use. @returns {Promise<boolean>} */
export function renewTokens() {
  const before = currentSession();
  const renew = async () => currentSession() !== before || (await askOthers()) || refresh();
  return navigator.locks ? navigator.locks.request("ich-login", renew) : renew();
}

async function refresh() {
  const { client, refresh: token, expires = 0 } = currentSession() ?? {};
  if (!client || !token) return false;
  try {
    share(await fetchTokens(client, { grant_type: "refresh_token", refresh_token: token }));
    return true;
  } catch {
    if (Date.now() < expires) timer = setTimeout(renewTokens, RETRY_MS);
    return false;
  }
}

/** Ends the session in all tabs, and at the provider. */
export async function logOut() {
  const { client, refresh: token, idToken } = currentSession() ?? {};
  await forget();
  const provider = client && (await discover(client.issuer).catch(() => undefined));
  if (provider?.revocation_endpoint && token) await post(provider.revocation_endpoint, { client_id: client?.client_id, token }).catch(() => undefined);
  if (!provider?.end_session_endpoint) return location.reload();
  leave(provider.end_session_endpoint, { client_id: client?.client_id, id_token_hint: idToken, post_logout_redirect_uri: HOME });
}

/**
 * @param {Client} client @param {Record<string, any>} grant @param {string} [nonce] of the id token, at a login
 * @returns {Promise<import("../session.js").Session>}
 */
async function fetchTokens(client, grant, nonce) {
  const at = Date.now();
  const { token_endpoint: address } = await discover(client.issuer);
  const response = await post(address, { client_id: client.client_id, ...grant }).catch(() => Promise.reject(silent(client.issuer)));
  const found = parseJson(await response.text()) ?? {};
  if (!response.ok || !found.access_token) throw refused(found.error_description ?? found.error ?? String(response.status));
  const before = nonce ? {} : { ...currentSession() };
  const claims = found.id_token ? readClaims(found.id_token, client, nonce) : {};
  const more = { expires: at + 1000 * (found.expires_in ?? 300), refresh: found.refresh_token ?? before.refresh };
  const names = { name: claims.name ?? claims.preferred_username ?? before.name, roles: Array.isArray(claims.roles) ? claims.roles : before.roles };
  return { key: found.access_token, at, client, ...more, idToken: found.id_token ?? before.idToken, ...names };
}

/**
 * The claims of an id token, by OpenID Connect Core 1.0, 3.1.3.7: TLS to the provider stands for its signature. The gateway
 * never gets it.
 * @param {string} token @param {Client} client @param {string} [nonce]
 */
function readClaims(token, { issuer, client_id }, nonce) {
  const bytes = Uint8Array.from(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  const claims = JSON.parse(new TextDecoder().decode(bytes));
  const right = claims.iss === issuer && [claims.aud].flat().includes(client_id) && (!nonce || claims.nonce === nonce);
  if (!right) throw new Error(t("login.problem_state"));
  return claims;
}

/** The provider's metadata (OpenID Connect Discovery 1.0). @param {string} issuer @returns {Promise<any>} */
async function discover(issuer) {
  const address = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(() => undefined);
  const found = response?.ok ? parseJson(await response.text()) : undefined;
  if (found?.issuer !== issuer) throw silent(issuer);
  return found;
}

/** @param {string} address @param {Record<string, any>} fields */
const post = (address, fields) => fetch(address, { method: "POST", body: new URLSearchParams(fields), signal: AbortSignal.timeout(TIMEOUT_MS) });

/** @param {string} address which may have a query @param {Record<string, any>} parameters */
function leave(address, parameters) {
  const target = new URL(address);
  for (const [name, value] of Object.entries(parameters)) if (value) target.searchParams.set(name, value);
  location.assign(target);
}

/** @param {string} issuer */
const silent = (issuer) => new Error(t("login.problem_silent", { issuer }));
/** @param {any} reason */
const refused = (reason) => new Error(t("login.problem_refused", { reason }));
/** Base64 for addresses (RFC 4648, 5). @param {Uint8Array} bytes */
const encode = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
