// Errors of requests, with texts for the reader.

import { t } from "./i18n/i18n.js";

/**
 * Members of a problem document (RFC 9457) that the page shows; `status` is missing where no response came.
 * @typedef {object} Problem
 * @property {string} title
 * @property {string} [detail]
 * @property {number} [status]
 * @property {string} [code]
 * @property {{ file: string, reason?: string }[]} [files]
 * @property {string} [requestId]
 * @property {number} [retryAfterSeconds]
 */

export class RequestError extends Error {
  /** @param {Problem} problem */
  constructor({ title, detail = "", status, code, files = [], requestId, retryAfterSeconds, ...more }) {
    super(title);
    this.title = title;
    this.detail = detail;
    this.status = status;
    this.code = code;
    this.files = files;
    this.requestId = requestId;
    this.retryAfterSeconds = retryAfterSeconds;
    Object.assign(this, { series: [] }, more);
  }
}

export class RequestCancelled extends Error {}

/**
 * The error of a response, from its status, its body and its header `Retry-After`.
 * @param {number} status @param {string} text @param {string | null} retryAfter
 */
export function responseError(status, text, retryAfter) {
  const problem = parseJson(text);
  const common = { status, retryAfterSeconds: parseRetryAfter(retryAfter) };
  if (!problem?.title) return new RequestError({ ...unknownResponse(status), ...common });
  return new RequestError({ ...problem, requestId: problem.request_id, ...common });
}

/** @param {string} text @returns {any} null where it is no JSON */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
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
