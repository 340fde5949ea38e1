// Uploads a job by XMLHttpRequest: fetch does not report upload progress.

import { authHeaders, renewKey } from "../api_key.js";
import { parseJson, RequestCancelled, RequestError, responseError } from "../errors.js";
import { t } from "../i18n/i18n.js";
import { request } from "../request.js";

/**
 * @typedef {{ file: File, path: string }} Entry `path` begins with the chosen folder
 * @typedef {{ operatingPoint: string, urgent: boolean, token: string }} Options requests with the same token give the same job
 * @typedef {{ onProgress(sent: number, total: number): void, onSent(): void }} Callbacks
 */

/**
 * @param {Entry[]} entries @param {Options} options @param {Callbacks} callbacks @param {AbortSignal} signal
 * @returns {Promise<import("../types.js").JobDocument>}
 */
export async function sendJob(entries, { operatingPoint, urgent, token }, callbacks, signal) {
  await request("v1/jobs?limit=1", { signal }).catch(cancelled); // asks for the key before a long upload
  const query = new URLSearchParams({ blood: "true", source: "upload", priority: urgent ? "urgent" : "routine" });
  if (operatingPoint) query.set("operating_point", operatingPoint);
  for (;;) {
    const auth = authHeaders();
    const { status, text, retryAfter } = await post(`v1/jobs?${query}`, { ...auth, "idempotency-key": `${token}-${query}` }, entries, callbacks, signal);
    const document = parseJson(text);
    if (status === 202 && document?.id) return document;
    if (status !== 401) throw responseError(status, text, retryAfter);
    await renewKey(auth);
  }
}

/** @param {any} error @returns {never} */
function cancelled(error) {
  throw error.name === "AbortError" ? new RequestCancelled() : error;
}

/**
 * @param {string} address @param {Record<string, string>} headers @param {Entry[]} entries @param {Callbacks} callbacks @param {AbortSignal} signal
 * @returns {Promise<{ status: number, text: string, retryAfter: string | null }>}
 */
function post(address, headers, entries, { onProgress, onSent }, signal) {
  const call = new XMLHttpRequest();
  const sent = { bytes: 0, all: false };
  call.upload.addEventListener("progress", ({ loaded, total }) => {
    sent.bytes = loaded;
    onProgress(loaded, total);
  });
  call.upload.addEventListener("load", () => {
    sent.all = true;
    onSent();
  });
  const response = new Promise((resolve, reject) => {
    call.addEventListener("load", () => resolve({ status: call.status, text: call.responseText, retryAfter: call.getResponseHeader("retry-after") }));
    call.addEventListener("error", () => reject(connectionError(sent)));
    call.addEventListener("abort", () => reject(new RequestCancelled()));
  });
  call.open("POST", address);
  call.setRequestHeader("accept", "application/json, application/problem+json");
  for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
  call.send(form(entries));
  signal.addEventListener("abort", () => call.abort());
  return response;
}

/** The path is the file name: two folders may each hold an IM0001. @param {Entry[]} entries */
function form(entries) {
  const data = new FormData();
  for (const { file, path } of entries) data.append("files", file, path);
  return data;
}

/** @param {{ bytes: number, all: boolean }} sent */
function connectionError({ bytes, all }) {
  const when = all ? "after" : bytes > 0 ? "during" : "before";
  return new RequestError({ title: t("problem.connection"), detail: t(`problem.connection_${when}`) });
}
