// The page: choose, ask, wait, see. Everything else is in the module of its name.

import { Chosen } from "./chosen.js";
import { announce, byId, present, show } from "./dom.js";
import { onDrop } from "./drop.js";
import { hideProblem, showProblem } from "./problem.js";
import { Progress } from "./progress.js";
import { downloadReport, fillReport } from "./report.js";
import { offerOperatingPoints, servedModel } from "./service.js";
import { Cancelled, Failure, requestReport } from "./upload.js";
import { Viewer } from "./viewer.js";

const SET_BEFORE = ["choose-files", "choose-folder", "choose-others", "clear", "operating-point"];
const operatingPoint = byId("operating-point");
const viewer = new Viewer();
const progress = new Progress(() => call?.cancel());
const chosen = new Chosen(onChosen);
let call;
let report;

async function predict() {
  if (call || chosen.entries.length === 0) return;
  closeAnswer();
  begin();
  try {
    open(await call.report);
  } catch (error) {
    fail(error);
  }
}

function begin() {
  call = requestReport(chosen.entries, operatingPoint.value, {
    onProgress: (sent, total) => progress.sending(sent, total),
    onSent: () => progress.analysing(),
  });
  progress.open(chosen.size);
  setBusy(true);
  byId("cancel").focus();
}

function open(answer) {
  end();
  report = answer;
  const title = fillReport(report, (index) => viewer.go(index));
  show(byId("answer"));
  viewer.open(report);
  tellWhatItIsAt();
  present(byId("verdict-title"), byId("answer"));
  announce(title);
}

function fail(error) {
  end();
  if (error instanceof Cancelled) {
    announce("Cancelled");
    byId("predict").focus();
  } else if (error instanceof Failure) {
    showProblem(error, oneOfSeveral(error));
  } else {
    throw error;
  }
}

// Offered only where each series is files of its own, and not entries of a zip.
function oneOfSeveral({ series }) {
  const paths = new Set(chosen.entries.map(({ path }) => path));
  if (series.length === 0 || !series.every(({ files }) => files?.every((file) => paths.has(file)))) return null;
  return (files) => {
    chosen.replace(chosen.entries.filter(({ path }) => files.includes(path)));
    predict();
  };
}

function end() {
  call = undefined;
  progress.close();
  setBusy(false);
}

function setBusy(busy) {
  const nothing = chosen.entries.length === 0;
  for (const id of SET_BEFORE) byId(id).disabled = busy;
  byId("chosen-files").inert = busy;
  byId("predict").disabled = byId("retry").disabled = busy || nothing;
}

// An answer beside files that it was not given for would be read as theirs.
function onChosen() {
  closeAnswer();
  setBusy(false);
}

function closeAnswer() {
  report = undefined;
  viewer.close();
  hideProblem();
  show(byId("answer"), false);
}

function tellWhatItIsAt() {
  const at = report?.thresholds.operating_point;
  const stale = at !== undefined && at !== operatingPoint.value;
  const words = `This answer is at ‘${at}’. Press Predict to have one at ‘${operatingPoint.value}’.`;
  byId("stale").textContent = stale ? words : "";
}

byId("predict").addEventListener("click", predict);
byId("retry").addEventListener("click", predict);
byId("download").addEventListener("click", () => downloadReport(report));
operatingPoint.addEventListener("change", tellWhatItIsAt);
onDrop(
  (entries) => {
    if (!call && entries.length > 0) chosen.replace(entries);
  },
  (detail) => showProblem(new Failure({ title: "What was dropped cannot be opened", detail, status: 400 })),
);

const served = await servedModel();
offerOperatingPoints(served);
viewer.windows = served.card.recipe.windows;
