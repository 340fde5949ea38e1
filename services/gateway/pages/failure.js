// Why something could not be had, in words for the person who asked.

export class Failure extends Error {
  constructor({ title, detail, ...more }) {
    super(title);
    Object.assign(this, { title, detail, files: [], series: [], ...more });
  }
}

export class Cancelled extends Error {}

// Of an answer that is not what was asked for: its status, its text, and its header `Retry-After`.
export function failureOf(status, text, retryAfter) {
  const problem = parsed(text);
  const more = { status, retryAfterSeconds: retryAfterSeconds(retryAfter) };
  if (!problem?.title) return new Failure({ ...unreadable(status), ...more });
  return new Failure({
    title: problem.title,
    detail: problem.detail ?? "",
    code: problem.code,
    files: problem.files ?? [],
    series: problem.series ?? [],
    best: problem.best,
    requestId: problem.request_id,
    ...more,
  });
}

export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Something between the page and the service, a proxy say, answered in its own words.
function unreadable(status) {
  return status === 413
    ? { title: "The upload is too large", detail: "A server on the way takes no upload of this size." }
    : { title: "The answer cannot be understood", detail: `The server answered ${status}, but not with a report.` };
}

// RFC 9110, 10.2.3: seconds, or a date.
function retryAfterSeconds(value) {
  if (!value) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return Number.isFinite(seconds) ? Math.max(seconds, 0) : undefined;
}
