// An error with its files, and the remedy.

import { button, element } from "../dom.js";
import { t } from "../i18n/i18n.js";

const MOST_ROWS = 50;

/** @param {import("../errors.js").RequestError} error @param {() => void} onRetry */
export function problemSection(error, onRetry) {
  const { title, detail, status, files, retryAfterSeconds: wait, requestId: id } = error;
  const temporary = status === undefined || status === 429 || status < 400 || status >= 500; // the same files may be accepted later
  const hints = [
    wait !== undefined && t("problem.wait", { count: wait }),
    !temporary && status !== 403 && !detail.includes("try again") && t("problem.choose_others"),
    id && t("problem.request", { id }),
  ];
  const rows = files.slice(0, MOST_ROWS).map(({ file, reason }) => element("li", {}, element("strong", { class: "path" }, file), reason ? `: ${reason}` : ""));
  if (files.length > MOST_ROWS) rows.push(element("li", {}, t("problem.more_files", { count: files.length - MOST_ROWS })));
  return element(
    "section",
    { class: "card problem", "aria-labelledby": "problem-title" },
    element("h3", { id: "problem-title", tabindex: "-1" }, title),
    element("p", {}, /[^.!?]$/.test(detail) ? `${detail}.` : detail),
    element("ul", { class: "problem-list" }, ...rows),
    element("p", { class: "row" }, ...(temporary ? [button(t("problem.retry"), onRetry)] : []), element("span", { class: "hint" }, hints.filter(Boolean).join(" "))),
  );
}
