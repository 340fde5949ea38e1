// An error with its files, and the remedies.

import { byId, element, focusSection, show } from "./dom.js";
import { pluralize } from "./text.js";

const MOST_ROWS = 50;

const ALLOWED_AS_JOB = ["mixed_series", "too_large"];

// Calls `onChoose(files)` when the user chooses one of several series; null where that is impossible.
export function showProblem(error, onChoose = null) {
  const retryable = isTemporary(error);
  byId("problem-title").textContent = error.title;
  byId("problem-detail").textContent = sentence(error.detail);
  byId("problem-more").replaceChildren(...fileList(error), ...seriesList(error, onChoose));
  byId("problem-hint").textContent = hint(error, retryable);
  show(byId("problem-assess-all"), ALLOWED_AS_JOB.includes(error.code));
  show(byId("retry"), retryable);
  show(byId("choose-others"), !retryable);
  show(byId("problem"));
  focusSection(byId("problem-title"), byId("problem"));
}

export function hideProblem() {
  show(byId("problem"), false);
}

// Whether the same files may be accepted later.
const isTemporary = ({ status }) => status === undefined || status === 429 || status < 400 || status >= 500;

const sentence = (text) => (/[.!?]$/.test(text) || text === "" ? text : `${text}.`);

// A single file that the detail names is not listed again.
function fileList({ files, detail }) {
  if (files.length === 0 || (files.length === 1 && detail.includes(files[0].file))) return [];
  const rows = files.slice(0, MOST_ROWS).map(({ file, reason }) =>
    element("li", {}, element("strong", { class: "path" }, file), reason ? `: ${reason}` : ""),
  );
  if (files.length > MOST_ROWS) rows.push(element("li", {}, `and ${pluralize(files.length - MOST_ROWS, "more file")}`));
  return [element("ul", { class: "problem-list" }, ...rows)];
}

function seriesList({ series, best }, onChoose) {
  if (series.length === 0) return [];
  const rows = series.slice(0, MOST_ROWS).map((one) => seriesRow(one, best, onChoose));
  return [element("ul", { class: "problem-list" }, ...rows)];
}

function seriesRow({ series_instance_uid: uid, slices, files }, best, onChoose) {
  const name = element("code", { class: "path" }, uid ?? "without a UID");
  const text = element("div", {}, `${pluralize(slices, "slice")}: `, name);
  if (best && best.series_instance_uid === uid) text.append(" ", element("strong", {}, "Best:"), ` ${best.why}.`);
  const row = element("li", {}, text);
  if (onChoose && files) row.append(predictButton(slices, () => onChoose(files)));
  return row;
}

function predictButton(slices, onClick) {
  const button = element("button", { type: "button" }, `Predict these ${pluralize(slices, "slice")}`);
  button.addEventListener("click", onClick);
  return button;
}

function hint({ detail, retryAfterSeconds, requestId }, retryable) {
  const wait = retryAfterSeconds === undefined ? "" : `Try again in ${pluralize(retryAfterSeconds, "second")}.`;
  const choose = retryable || detail.includes("try again") ? "" : "Choose other files and try again.";
  return [wait, choose, requestId ? `Request ${requestId}` : ""].filter(Boolean).join(" ");
}
