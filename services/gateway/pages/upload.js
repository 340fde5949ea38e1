// One call of POST /v1/predictions. XMLHttpRequest, because fetch does not tell how much was sent.

// Why there is no report, in words for the person who asked.
export class Failure extends Error {
  constructor({ title, detail, ...more }) {
    super(title);
    Object.assign(this, { title, detail, files: [], series: [], ...more });
  }
}

export class Cancelled extends Error {}

// Returns {report, cancel}; `onProgress(sent, total)` is called while bytes go out, `onSent()` when all are gone.
export function requestReport(entries, operatingPoint, { onProgress, onSent }) {
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
  const report = new Promise((resolve, reject) => {
    request.addEventListener("load", () => settle(request, resolve, reject));
    request.addEventListener("error", () => reject(broken(sent)));
    request.addEventListener("abort", () => reject(new Cancelled()));
  });
  const query = new URLSearchParams({ images: "true", operating_point: operatingPoint });
  request.open("POST", `v1/predictions?${query}`);
  request.setRequestHeader("accept", "application/json, application/problem+json");
  request.send(form(entries));
  return { report, cancel: () => request.abort() };
}

// The path is sent as the name: two folders may hold an IM0001 each.
function form(entries) {
  const data = new FormData();
  for (const { file, path } of entries) data.append("files", file, path);
  return data;
}

function settle(request, resolve, reject) {
  const document = parsed(request.responseText);
  if (request.status === 200 && Array.isArray(document?.slices)) resolve(document);
  else reject(refusal(request, document));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function refusal(request, problem) {
  const more = { status: request.status, retryAfterSeconds: retryAfter(request.getResponseHeader("retry-after")) };
  if (!problem?.title) return new Failure({ ...unreadable(request.status), ...more });
  return new Failure({
    title: problem.title,
    detail: problem.detail ?? "",
    files: problem.files ?? [],
    series: problem.series ?? [],
    best: problem.best,
    requestId: problem.request_id,
    ...more,
  });
}

// Something between the page and the service, a proxy say, answered in its own words.
function unreadable(status) {
  return status === 413
    ? { title: "The upload is too large", detail: "A server on the way takes no upload of this size." }
    : { title: "The answer cannot be understood", detail: `The server answered ${status}, but not with a report.` };
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

// RFC 9110, 10.2.3: seconds, or a date.
function retryAfter(value) {
  if (!value) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return Number.isFinite(seconds) ? Math.max(seconds, 0) : undefined;
}
