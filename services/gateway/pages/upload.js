// Uploads by XMLHttpRequest: fetch does not report upload progress.

import { parseJson, RequestCancelled, RequestError, responseError } from "./errors.js";
import { authHeaders } from "./api_key.js";

// Both return {response, cancel}, and call `onProgress(sent, total)` during and `onSent()` after the upload.
export function requestReport(entries, operatingPoint, callbacks) {
  const query = new URLSearchParams({ images: "true", operating_point: operatingPoint });
  const isReport = (status, document) => status === 200 && Array.isArray(document?.slices);
  return send(`v1/predictions?${query}`, authHeaders(), entries, isReport, callbacks);
}

// Requests with the same key give the same job.
export function requestJob(entries, operatingPoint, key, callbacks) {
  const query = new URLSearchParams({ operating_point: operatingPoint });
  const headers = { ...authHeaders(), "idempotency-key": `${key}-${operatingPoint}` };
  const isJob = (status, document) => status === 202 && Boolean(document?.id);
  return send(`v1/jobs?${query}`, headers, entries, isJob, callbacks);
}

function send(address, headers, entries, isExpected, { onProgress, onSent }) {
  const request = new XMLHttpRequest();
  const sent = { bytes: 0, all: false };
  request.upload.addEventListener("progress", (event) => {
    sent.bytes = event.loaded;
    onProgress(event.loaded, event.total);
  });
  request.upload.addEventListener("load", () => {
    sent.all = true;
    onSent();
  });
  const response = new Promise((resolve, reject) => {
    request.addEventListener("load", () => settle(request, isExpected, resolve, reject));
    request.addEventListener("error", () => reject(connectionError(sent)));
    request.addEventListener("abort", () => reject(new RequestCancelled()));
  });
  request.open("POST", address);
  request.setRequestHeader("accept", "application/json, application/problem+json");
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.send(form(entries));
  return { response, cancel: () => request.abort() };
}

// The path is the file name: two folders may each hold an IM0001.
function form(entries) {
  const data = new FormData();
  for (const { file, path } of entries) data.append("files", file, path);
  return data;
}

function settle(request, isExpected, resolve, reject) {
  const document = parseJson(request.responseText);
  if (isExpected(request.status, document)) resolve(document);
  else reject(responseError(request.status, request.responseText, request.getResponseHeader("retry-after")));
}

function connectionError(sent) {
  const when = sent.all ? "after the upload" : sent.bytes > 0 ? "during the upload" : "before the upload";
  return new RequestError({
    title: "Connection lost",
    detail:
      `The connection was lost ${when}. Check that the service runs, that the upload is within its limits, ` +
      "and that no file has changed since you chose it.",
  });
}
