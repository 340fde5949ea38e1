// One call that sends files. XMLHttpRequest, because fetch does not tell how much was sent.

import { Cancelled, Failure, failureOf, parsed } from "./failure.js";
import { authorization } from "./key.js";

// Both return {answer, cancel}; `onProgress(sent, total)` is called while bytes go out, `onSent()` when all are gone.
export function requestReport(entries, operatingPoint, callbacks) {
  const query = new URLSearchParams({ images: "true", operating_point: operatingPoint });
  const isReport = (status, found) => status === 200 && Array.isArray(found?.slices);
  return send(`v1/predictions?${query}`, authorization(), entries, isReport, callbacks);
}

// The same key is the same job, however often it is sent.
export function requestJob(entries, operatingPoint, key, callbacks) {
  const query = new URLSearchParams({ operating_point: operatingPoint });
  const headers = { ...authorization(), "idempotency-key": `${key}-${operatingPoint}` };
  const isJob = (status, found) => status === 202 && Boolean(found?.id);
  return send(`v1/jobs?${query}`, headers, entries, isJob, callbacks);
}

function send(address, headers, entries, isAnswer, { onProgress, onSent }) {
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
  const answer = new Promise((resolve, reject) => {
    request.addEventListener("load", () => settle(request, isAnswer, resolve, reject));
    request.addEventListener("error", () => reject(broken(sent)));
    request.addEventListener("abort", () => reject(new Cancelled()));
  });
  request.open("POST", address);
  request.setRequestHeader("accept", "application/json, application/problem+json");
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.send(form(entries));
  return { answer, cancel: () => request.abort() };
}

// The path is sent as the name: two folders may hold an IM0001 each.
function form(entries) {
  const data = new FormData();
  for (const { file, path } of entries) data.append("files", file, path);
  return data;
}

function settle(request, isAnswer, resolve, reject) {
  const found = parsed(request.responseText);
  if (isAnswer(request.status, found)) resolve(found);
  else reject(failureOf(request.status, request.responseText, request.getResponseHeader("retry-after")));
}

function broken(sent) {
  const where = sent.all ? "while the service was working" : sent.bytes > 0 ? "while the files were sent" : "at once";
  return new Failure({
    title: "The connection broke",
    detail:
      `It broke ${where}. The service may be stopped or out of reach, the upload may be more than it takes, ` +
      "or a file may have changed since it was chosen.",
  });
}
