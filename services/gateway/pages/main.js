// The page: choose, ask, wait, see. Everything else is in the module of its name.

import { Chosen } from "./selection.js";
import { announce, byId, present, show } from "./dom.js";
import { onDrop } from "./drop.js";
import { Cancelled, Failure } from "./failure.js";
import { nameOf } from "./joblist.js";
import { mayISend } from "./jobs.js";
import { JobView } from "./job_view.js";
import { askForKey, hideKey } from "./key.js";
import { hideProblem, showProblem } from "./problem.js";
import { Progress } from "./progress.js";
import { downloadReport, fillReport } from "./report.js";
import { offerOperatingPoints, servedModel } from "./service.js";
import { requestJob, requestReport } from "./upload.js";
import { Viewer } from "./viewer.js";

const SET_BEFORE = ["choose-files", "choose-folder", "choose-others", "clear", "operating-point"];
const JOB = /^#job=([0-9a-z]+)$/;
const operatingPoint = byId("operating-point");
const viewer = new Viewer();
const progress = new Progress(() => call?.cancel());
const chosen = new Chosen(onChosen);
const jobView = new JobView({
  onOpen: openOfJob,
  onFailure: failOfJob,
  onCancelled: () => chosen.renewToken(),
  onForgotten: leaveJob,
});
let call;
let report;
let ofJob; // the report of a job's series that is open, and that pictures may be asked for
let again = predict;

async function predict() {
  if (call || chosen.entries.length === 0) return;
  leaveJob();
  closeAnswer();
  again = predict;
  await upload(chosen.entries, "Analysing", (entries, callbacks) => {
    return requestReport(entries, operatingPoint.value, callbacks);
  }, open);
}

// Every series that is in the chosen files, as a job.
async function assessAll() {
  if (call || chosen.entries.length === 0) return;
  closeAnswer();
  again = assessAll;
  try {
    await mayISend();
  } catch (failure) {
    failOfJob(failure, assessAll);
    return;
  }
  await upload(chosen.entries, "Being kept", (entries, callbacks) => {
    return requestJob(entries, operatingPoint.value, chosen.token, callbacks);
  }, ({ id }) => {
    end();
    location.hash = `job=${id}`;
  });
}

// One series of a job, alone, because jobs keep no pictures.
async function predictOfJob() {
  const [asked, files] = [ofJob, filesOf(ofJob)];
  again = predictOfJob;
  await upload(files, "Analysing", (entries, callbacks) => {
    return requestReport(entries, asked.thresholds.operating_point, callbacks);
  }, open);
}

async function upload(entries, afterwards, request, onAnswer) {
  hideProblem();
  call = request(entries, {
    onProgress: (sent, total) => progress.sending(sent, total),
    onSent: () => progress.working(afterwards),
  });
  progress.open(entries.reduce((total, { file }) => total + file.size, 0));
  setBusy(true);
  byId("cancel").focus();
  try {
    onAnswer(await call.answer);
  } catch (error) {
    fail(error);
  }
}

function open(answer) {
  end();
  report = answer;
  const title = fillReport(report, (index) => viewer.go(index));
  show(byId("of-job"), ofJob !== undefined);
  show(byId("answer"));
  viewer.open(report);
  tellWhatItIsAt();
  present(byId("verdict-title"), byId("answer"));
  announce(title);
}

function openOfJob(chosenReport) {
  hideProblem();
  ofJob = chosenReport;
  const files = filesOf(ofJob);
  byId("of-job-name").textContent = nameOf(ofJob);
  show(byId("with-pictures"), files.length > 0);
  const words = "Jobs keep no pictures. To see them, choose the files of this series and press Predict.";
  byId("of-job-hint").textContent = files.length > 0 ? "" : words;
  jobView.list.mark(ofJob);
  open(ofJob);
}

// Those of the chosen ones that a report is of; none where they are not there, or in a zip.
function filesOf({ slices }) {
  const names = new Set(slices.map(({ file }) => file));
  const found = chosen.entries.filter(({ path }) => names.has(path));
  return found.length === names.size ? found : [];
}

function back() {
  const from = ofJob;
  closeAnswer();
  jobView.list.focus(from);
}

function fail(error) {
  end();
  if (error instanceof Cancelled) {
    announce("Cancelled");
    byId("predict").focus();
  } else if (error.status === 401) {
    askForKey(again);
  } else if (error instanceof Failure) {
    showProblem(error, oneOfSeveral(error));
  } else {
    throw error;
  }
}

function failOfJob(failure, then = route) {
  if (failure.status === 401) askForKey(then);
  else if (failure instanceof Failure) showProblem(failure);
  else showProblem(new Failure({ title: "The service does not answer", detail: "It may be stopped or out of reach." }));
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
  for (const id of ["predict", "assess-all", "problem-all", "retry"]) byId(id).disabled = busy || nothing;
  byId("with-pictures").disabled = busy;
}

// An answer beside files that it was not given for would be read as theirs; Back leads to the job again.
function onChosen() {
  leaveJob();
  closeAnswer();
  show(byId("assess-all"), chosen.maybeSeveral);
  setBusy(false);
}

function closeAnswer() {
  report = ofJob = undefined;
  viewer.close();
  hideProblem();
  hideKey();
  jobView.list.mark(undefined);
  show(byId("answer"), false);
}

// A job stands in the address, so that it is found again when the page is loaded anew.
function route() {
  const id = JOB.exec(location.hash)?.[1];
  if (id === jobView.id) return;
  closeAnswer();
  if (id) jobView.open(id);
  else jobView.close();
}

function leaveJob() {
  if (JOB.test(location.hash)) location.hash = "";
  jobView.close();
}

function tellWhatItIsAt() {
  const at = report?.thresholds.operating_point;
  const stale = at !== undefined && at !== operatingPoint.value && !ofJob;
  const words = `This answer is at ‘${at}’. Press Predict to have one at ‘${operatingPoint.value}’.`;
  byId("stale").textContent = stale ? words : "";
}

byId("predict").addEventListener("click", predict);
for (const id of ["assess-all", "problem-all"]) byId(id).addEventListener("click", assessAll);
byId("retry").addEventListener("click", () => again());
byId("back").addEventListener("click", back);
byId("with-pictures").addEventListener("click", predictOfJob);
byId("download").addEventListener("click", () => downloadReport(report));
operatingPoint.addEventListener("change", tellWhatItIsAt);
addEventListener("hashchange", route);
onDrop(
  (entries) => {
    if (!call && entries.length > 0) chosen.replace(entries);
  },
  (detail) => showProblem(new Failure({ title: "What was dropped cannot be opened", detail, status: 400 })),
);

route();
const served = await servedModel();
offerOperatingPoints(served);
viewer.windows = served.card.recipe.windows;
