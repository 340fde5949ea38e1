// Errors of requests, with texts for the user.

export class RequestError extends Error {
  constructor({ title, detail, ...more }) {
    super(title);
    Object.assign(this, { title, detail, files: [], series: [], ...more });
  }
}

export class RequestCancelled extends Error {}

// The error of a response, from its status, its body and its header `Retry-After`.
export function responseError(status, text, retryAfter) {
  const problem = parseJson(text);
  const common = { status, retryAfterSeconds: parseRetryAfter(retryAfter) };
  if (!problem?.title) return new RequestError({ ...unknownResponse(status), ...common });
  return new RequestError({
    title: problem.title,
    detail: problem.detail ?? "",
    code: problem.code,
    files: problem.files ?? [],
    series: problem.series ?? [],
    best: problem.best,
    requestId: problem.request_id,
    ...common,
  });
}

export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// A response without a problem document comes from a proxy, not from the gateway.
function unknownResponse(status) {
  return status === 413
    ? { title: "The upload is too large", detail: "A proxy before the service refused an upload of this size" }
    : { title: "Unexpected response", detail: `The server answered ${status} without a report` };
}

// RFC 9110, 10.2.3: seconds, or a date.
function parseRetryAfter(value) {
  if (!value) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return Number.isFinite(seconds) ? Math.max(seconds, 0) : undefined;
}
