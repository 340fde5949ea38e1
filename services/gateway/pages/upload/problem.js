// An error with its files, and the remedy.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";

const MOST_ROWS = 50;

/** @param {import("../errors.js").RequestError} error @param {() => void} onRetry */
export function problemSection(error, onRetry) {
  const retryable = isTemporary(error);
  const title = element("h3", { id: "problem-title", tabindex: "-1" }, error.title);
  const retry = element("button", { type: "button" }, t("problem.retry"));
  retry.addEventListener("click", onRetry);
  return element(
    "section",
    { class: "card problem", "aria-labelledby": "problem-title" },
    title,
    element("p", {}, /[.!?]$/.test(error.detail) || error.detail === "" ? error.detail : `${error.detail}.`),
    ...fileList(error),
    element("p", { class: "row" }, ...(retryable ? [retry] : []), element("span", { class: "hint" }, hint(error, retryable))),
  );
}

/** Whether the same files may be accepted later. @param {{ status?: number }} error */
const isTemporary = ({ status }) => status === undefined || status === 429 || status < 400 || status >= 500;

/** A single file that the detail names is not listed again. @param {import("../errors.js").RequestError} error */
function fileList({ files, detail }) {
  if (files.length === 0 || (files.length === 1 && detail.includes(files[0].file))) return [];
  const rows = files.slice(0, MOST_ROWS).map(({ file, reason }) => element("li", {}, element("strong", { class: "path" }, file), reason ? `: ${reason}` : ""));
  if (files.length > MOST_ROWS) rows.push(element("li", {}, t("problem.more_files", { count: files.length - MOST_ROWS })));
  return [element("ul", { class: "problem-list" }, ...rows)];
}

/** @param {import("../errors.js").RequestError} error @param {boolean} retryable */
function hint({ detail, retryAfterSeconds, requestId }, retryable) {
  const wait = retryAfterSeconds === undefined ? "" : t("problem.wait", { count: retryAfterSeconds });
  const choose = retryable || detail.includes("try again") ? "" : t("problem.choose_others");
  return [wait, choose, requestId ? t("problem.request", { id: requestId }) : ""].filter(Boolean).join(" ");
}
