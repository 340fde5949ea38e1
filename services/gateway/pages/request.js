// Requests to the gateway: with the key, with errors as RequestError, and server-sent events with reconnection.

import { noResponse, responseError } from "./errors.js";
import { parseJson } from "./json.js";
import { renewSession } from "./login/login.js";
import { authHeaders } from "./session.js";

const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 15000;
const MOST_WAITS = 5; // of a request whose sender has used up its minute

/**
 * A response of status 2xx. It waits for the reader's login, and as long as a gateway says that limits requests.
 * @param {string} address
 * @param {RequestInit & { headers?: Record<string, string> }} options
 * @throws {RequestError} of another status, and where the service does not answer
 */
export async function request(address, { headers = {}, ...options } = {}) {
  for (let waits = 0; ; ) {
    const auth = authHeaders();
    const response = await fetch(address, { ...options, headers: { ...auth, ...headers }, cache: "no-store" }).catch(throwUnanswered);
    if (response.ok) return response;
    const text = await response.text();
    options.signal?.throwIfAborted();
    const error = responseError(response.status, text, response.headers.get("retry-after"));
    if (error.code === "rate_limited" && waits++ < MOST_WAITS) await sleep(1000 * (error.retryAfterSeconds ?? 1));
    else if (error.status !== 401) throw error;
    else await renewSession(auth, text);
    options.signal?.throwIfAborted();
  }
}

/** @param {string} address @param {RequestInit & { headers?: Record<string, string> }} options @returns {Promise<any>} */
export const getJson = async (address, options = {}) => (await request(address, options)).json();

/** @param {number} milliseconds */
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** @param {any} error @returns {never} */
function throwUnanswered(error) {
  throw error.name === "AbortError" ? error : noResponse();
}

/**
 * Server-sent events until the signal, with `data` parsed where it is JSON; `{event: "disconnected"}` stands before each reconnection.
 * @param {string} address
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<{ event: string, data: any }>}
 * @throws {RequestError} where the address does not exist, or the reader gives no key
 */
export async function* events(address, signal) {
  for (let delay = FIRST_DELAY_MS; !signal.aborted; delay = Math.min(2 * delay, MAX_DELAY_MS)) {
    try {
      for await (const message of readEvents(address, signal)) {
        yield message;
        delay = FIRST_DELAY_MS;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isRefusal(/** @type {any} */ (error))) throw error;
    }
    if (signal.aborted) return;
    yield { event: "disconnected", data: null };
    await sleep(delay);
  }
}

/** @param {{ status?: number }} error */
const isRefusal = ({ status = 0 }) => status >= 400 && status < 500 && status !== 429;

/** By fetch: EventSource cannot send a key. @param {string} address @param {AbortSignal} signal */
async function* readEvents(address, signal) {
  const response = await request(address, { signal, headers: { accept: "text/event-stream" } });
  const reader = /** @type {ReadableStream} */ (response.body).pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let text = ""; ; ) {
      const { value, done } = await reader.read();
      if (done) return;
      const messages = (text + value).split("\n\n");
      text = messages.pop() ?? "";
      for (const message of messages) if (!message.startsWith(":")) yield parseEvent(message);
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** @param {string} message */
function parseEvent(message) {
  const fields = Object.fromEntries(message.split("\n").map((line) => line.split(/: ?(.*)/s, 2)));
  return { event: fields.event ?? "message", data: parseJson(fields.data ?? "") ?? fields.data };
}
