// Uploads a job by XMLHttpRequest: fetch does not report upload progress.

import { RequestCancelled, RequestError, responseError } from "../errors.js";
import { t } from "../i18n/i18n.js";
import { parseJson } from "../json.js";
import { renewSession } from "../login/login.js";
import { request } from "../request.js";
import { authHeaders } from "../session.js";

/**
 * @typedef {{ file: File, path: string }} Entry `path` begins with the chosen folder
 * @typedef {{ operatingPoint: string, urgent: boolean, token: string }} Options requests with the same token give the same job
 * @typedef {{ onProgress(sent: number, total: number): void, onSent(): void, signal: AbortSignal }} Following
 */

/** @param {Entry[]} entries @param {Options} options @param {Following} following @returns {Promise<import("../types.js").JobDocument>} */
export async function sendJob(entries, { operatingPoint, urgent, token }, following) {
  await request("v1/jobs?limit=1"); // asks for the key before a long upload
  const query = new URLSearchParams({ blood: "true", source: "upload", priority: urgent ? "urgent" : "routine" });
  if (operatingPoint) query.set("operating_point", operatingPoint);
  for (;;) {
    following.signal.throwIfAborted();
    const auth = authHeaders();
    const call = await post(`v1/jobs?${query}`, { ...auth, "idempotency-key": `${token}-${query}` }, entries, following);
    const document = parseJson(call.responseText);
    if (call.status === 202 && document?.id) return document;
    if (call.status !== 401) throw responseError(call.status, call.responseText, call.getResponseHeader("retry-after"));
    await renewSession(auth, call.responseText);
  }
}

/**
 * @param {string} address @param {Record<string, string>} headers @param {Entry[]} entries @param {Following} following
 * @returns {Promise<XMLHttpRequest>} after its response
 */
function post(address, headers, entries, { onProgress, onSent, signal }) {
  const call = new XMLHttpRequest();
  let when = /** @type {"before" | "during" | "after"} */ ("before");
  call.upload.addEventListener("progress", ({ loaded, total }) => {
    when = "during";
    onProgress(loaded, total);
  });
  call.upload.addEventListener("load", () => {
    when = "after";
    onSent();
  });
  call.open("POST", address);
  call.setRequestHeader("accept", "application/json, application/problem+json");
  for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
  signal.addEventListener("abort", () => call.abort());
  return new Promise((resolve, reject) => {
    call.addEventListener("load", () => resolve(call));
    call.addEventListener("error", () => reject(new RequestError({ title: t("problem.connection"), detail: t(`problem.connection_${when}`) })));
    call.addEventListener("abort", () => reject(new RequestCancelled()));
    call.send(form(entries));
  });
}

/** The path is the file name: two folders may each hold an IM0001. @param {Entry[]} entries */
function form(entries) {
  const data = new FormData();
  for (const { file, path } of entries) data.append("files", file, path);
  return data;
}
