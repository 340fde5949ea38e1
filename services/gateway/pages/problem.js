// What went wrong, with which file, and what to do now.

import { byId, element, present, show } from "./dom.js";
import { counted } from "./text.js";

const MOST_ROWS = 50;

const LARGER_AS_JOB = ["mixed_series", "too_large"];

// `assess(files)` is called where people choose one of several series; null where that can't be offered.
export function showProblem(failure, assess = null) {
  const retryable = mayPass(failure);
  byId("problem-title").textContent = failure.title;
  byId("problem-detail").textContent = sentence(failure.detail);
  byId("problem-more").replaceChildren(...fileList(failure), ...seriesList(failure, assess));
  byId("problem-hint").textContent = hint(failure, retryable);
  show(byId("problem-all"), LARGER_AS_JOB.includes(failure.code));
  show(byId("retry"), retryable);
  show(byId("choose-others"), !retryable);
  show(byId("problem"));
  present(byId("problem-title"), byId("problem"));
}

export function hideProblem() {
  show(byId("problem"), false);
}

// The same files may be taken later, unless it is they that are at fault.
const mayPass = ({ status }) => status === undefined || status === 429 || status < 400 || status >= 500;

const sentence = (words) => (/[.!?]$/.test(words) || words === "" ? words : `${words}.`);

// One file that the sentence names already need not be named twice.
function fileList({ files, detail }) {
  if (files.length === 0 || (files.length === 1 && detail.includes(files[0].file))) return [];
  const rows = files.slice(0, MOST_ROWS).map(({ file, reason }) =>
    element("li", {}, element("strong", { class: "path" }, file), reason ? `: ${reason}` : ""),
  );
  if (files.length > MOST_ROWS) rows.push(element("li", {}, `and ${counted(files.length - MOST_ROWS, "more file")}`));
  return [element("ul", { class: "bad-files" }, ...rows)];
}

function seriesList({ series, best }, assess) {
  if (series.length === 0) return [];
  const rows = series.slice(0, MOST_ROWS).map((one) => seriesRow(one, best, assess));
  return [element("ul", { class: "bad-files" }, ...rows)];
}

function seriesRow({ series_instance_uid: uid, slices, files }, best, assess) {
  const name = element("code", { class: "path" }, uid ?? "without a UID");
  const words = element("div", {}, `${counted(slices, "slice")}: `, name);
  if (best && best.series_instance_uid === uid) words.append(" ", element("strong", {}, "Best:"), ` ${best.why}.`);
  const row = element("li", {}, words);
  if (assess && files) row.append(assessButton(slices, () => assess(files)));
  return row;
}

function assessButton(slices, onClick) {
  const button = element("button", { type: "button" }, `Predict these ${counted(slices, "slice")}`);
  button.addEventListener("click", onClick);
  return button;
}

function hint({ detail, retryAfterSeconds, requestId }, retryable) {
  const wait = retryAfterSeconds === undefined ? "" : `Please try again in ${counted(retryAfterSeconds, "second")}.`;
  const choose = retryable || detail.includes("try again") ? "" : "Please choose other files and try again.";
  return [wait, choose, requestId ? `Request ${requestId}` : ""].filter(Boolean).join(" ");
}
