// Errors of requests, with texts for the reader.

import { t } from "./i18n/i18n.js";
import { parseJson } from "./json.js";

/**
 * Members of a problem document (RFC 9457) that the page shows; `status` is missing where no response came.
 * @typedef {{ title: string, detail?: string, status?: number, code?: string, files?: { file: string, reason?: string }[],
 *   requestId?: string, retryAfterSeconds?: number }} Problem
 */

export class RequestError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.title);
    const { title, detail = "", status, code, files = [], requestId, retryAfterSeconds } = problem;
    this.title = title;
    this.detail = detail;
    this.status = status;
    this.code = code;
    this.files = files;
    this.requestId = requestId;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export class RequestCancelled extends Error {}

/** The error of a request without any response. */
export const noResponse = () => new RequestError({ title: t("problem.no_response"), detail: t("problem.no_response_detail") });

/** Title and detail in one line. @param {any} error */
export const problemText = (error) => [error.title ?? String(error), error.detail].filter(Boolean).join(": ");

/**
 * The error of a response, from its status, its body and its header `Retry-After`.
 * @param {number} status @param {string} text @param {string | null} retryAfter
 */
export function responseError(status, text, retryAfter) {
  const problem = parseJson(text);
  const common = { status, retryAfterSeconds: parseRetryAfter(retryAfter) };
  if (problem?.code === "missing_role") return new RequestError({ ...problem, ...missingRole(problem), ...common });
  if (!problem?.title) return new RequestError({ ...unknownResponse(status), ...common });
  return new RequestError({ ...problem, requestId: problem.request_id, ...common });
}

/** @param {any} problem */
function missingRole({ role }) {
  const title = t(role === "submit" ? "problem.role_submit" : role === "read" ? "problem.role_read" : "problem.role_other");
  return { title, detail: t("problem.role_detail", { role }) };
}

/** A response without a problem document comes from a proxy, not from the gateway. @param {number} status */
const unknownResponse = (status) =>
  status === 413
    ? { title: t("problem.too_large"), detail: t("problem.too_large_detail") }
    : { title: t("problem.unexpected"), detail: t("problem.unexpected_detail", { status: String(status) }) };

/** RFC 9110, 10.2.3: seconds, or a date. @param {string | null} value */
function parseRetryAfter(value) {
  if (!value) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return Number.isFinite(seconds) ? Math.max(seconds, 0) : undefined;
}
