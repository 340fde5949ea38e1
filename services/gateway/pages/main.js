// The page: select files, send them, show the report. The other modules each hold one part.

import { FileSelection } from "./selection.js";
import { announce, byId, focusSection, show } from "./dom.js";
import { onFilesDropped } from "./drag_and_drop.js";
import { RequestCancelled, RequestError } from "./errors.js";
import { seriesTitle } from "./series_list.js";
import { checkAccess } from "./jobs.js";
import { JobView } from "./job_view.js";
import { authHeaders, renewKey } from "./api_key.js";
import { hideProblem, showProblem } from "./problem.js";
import { Progress } from "./progress.js";
import { downloadReport, fillReport } from "./report.js";
import { fillOperatingPoints, loadServedModel } from "./served_model.js";
import { requestJob, requestReport } from "./upload.js";
import { Viewer } from "./viewer.js";

const DISABLED_WHILE_BUSY = ["choose-files", "choose-folder", "choose-others", "clear", "operating-point"];
const NO_RESPONSE = {
  title: "The service does not answer",
  detail: "Check that it runs and that this computer can reach it",
};
const JOB = /^#job=([0-9a-z]+)$/;
const operatingPoint = byId("operating-point");
const viewer = new Viewer();
const progress = new Progress(() => call?.cancel());
const selection = new FileSelection(onSelectionChange);
const jobView = new JobView({
  onOpen: showJobReport,
  onError: handleJobError,
  onCancelled: () => selection.renewToken(),
  onDeleted: closeJob,
});
let call;
let report;
let jobReport; // the open report of a job's series
let retry = predict;

async function predict() {
  if (call || selection.entries.length === 0) return;
  closeJob();
  closeReport();
  retry = predict;
  await upload(selection.entries, "Analysing", (entries, callbacks) => {
    return requestReport(entries, operatingPoint.value, callbacks);
  }, showReport);
}

// Assesses every series of the selected files, as a job.
async function assessAll() {
  if (call || selection.entries.length === 0) return;
  closeReport();
  retry = assessAll;
  try {
    await checkAccess();
  } catch (error) {
    handleJobError(error, assessAll);
    return;
  }
  await upload(selection.entries, "Storing", (entries, callbacks) => {
    return requestJob(entries, operatingPoint.value, selection.token, callbacks);
  }, ({ id }) => {
    finishCall();
    location.hash = `job=${id}`;
  });
}

// Predicts one series of a job again: jobs store no pictures.
async function predictJobSeries() {
  const { operating_point: point } = jobReport.thresholds;
  retry = predictJobSeries;
  await upload(selectedFiles(jobReport), "Analysing", (entries, callbacks) => {
    return requestReport(entries, point, callbacks);
  }, showReport);
}

async function upload(entries, activity, request, onResponse) {
  hideProblem();
  call = request(entries, {
    onProgress: (sent, total) => progress.sending(sent, total),
    onSent: () => progress.working(activity),
  });
  progress.open(entries.reduce((total, { file }) => total + file.size, 0));
  setBusy(true);
  byId("cancel").focus();
  try {
    onResponse(await call.response);
  } catch (error) {
    handleError(error);
  }
}

function showReport(response) {
  finishCall();
  report = response;
  const title = fillReport(report, (index) => viewer.go(index));
  show(byId("job-report"), jobReport !== undefined);
  show(byId("report"));
  viewer.open(report);
  updateStaleHint();
  focusSection(byId("verdict-title"), byId("report"));
  announce(title);
}

function showJobReport(chosen) {
  hideProblem();
  jobReport = chosen;
  const files = selectedFiles(jobReport);
  byId("job-report-title").textContent = seriesTitle(jobReport);
  show(byId("show-pictures"), files.length > 0);
  const hint = "Jobs store no pictures. To see them, choose the files of this series and press Predict.";
  byId("job-report-hint").textContent = files.length > 0 ? "" : hint;
  jobView.list.highlight(jobReport);
  showReport(jobReport);
}

// The selected files of a report; empty where some are not selected, or are in a zip.
function selectedFiles({ slices }) {
  const names = new Set(slices.map(({ file }) => file));
  const found = selection.entries.filter(({ path }) => names.has(path));
  return found.length === names.size ? found : [];
}

function backToJob() {
  const last = jobReport;
  closeReport();
  jobView.list.focus(last);
}

function handleError(error) {
  finishCall();
  if (error instanceof RequestCancelled) {
    announce("Cancelled");
    byId("predict").focus();
  } else if (error.status === 401) {
    renewKey(authHeaders()).then(retry, showProblem);
  } else if (error instanceof RequestError) {
    showProblem(error, seriesChooser(error));
  } else {
    throw error;
  }
}

function handleJobError(error, onKey = route) {
  if (error.status === 401) renewKey(authHeaders()).then(onKey, showProblem);
  else if (error instanceof RequestError) showProblem(error);
  else showProblem(new RequestError(NO_RESPONSE));
}

// Lets the user choose one of several series; null where these are entries of a zip.
function seriesChooser({ series }) {
  const paths = new Set(selection.entries.map(({ path }) => path));
  if (series.length === 0 || !series.every(({ files }) => files?.every((file) => paths.has(file)))) return null;
  return (files) => {
    selection.replace(selection.entries.filter(({ path }) => files.includes(path)));
    predict();
  };
}

function finishCall() {
  call = undefined;
  progress.close();
  setBusy(false);
}

function setBusy(busy) {
  const empty = selection.entries.length === 0;
  for (const id of DISABLED_WHILE_BUSY) byId(id).disabled = busy;
  byId("selection-files").inert = busy;
  for (const id of ["predict", "assess-all", "problem-assess-all", "retry"]) byId(id).disabled = busy || empty;
  byId("show-pictures").disabled = busy;
}

// A report of other files must not stay visible. The browser's Back button opens the job again.
function onSelectionChange() {
  closeJob();
  closeReport();
  show(byId("assess-all"), selection.mayHoldSeveralSeries);
  setBusy(false);
}

function closeReport() {
  report = jobReport = undefined;
  viewer.close();
  hideProblem();
  jobView.list.highlight(undefined);
  show(byId("report"), false);
}

// The address holds the job's id, so that a reload shows the job again.
function route() {
  const id = JOB.exec(location.hash)?.[1];
  if (id === jobView.id) return;
  closeReport();
  if (id) jobView.open(id);
  else jobView.close();
}

function closeJob() {
  if (JOB.test(location.hash)) location.hash = "";
  jobView.close();
}

function updateStaleHint() {
  const used = report?.thresholds.operating_point;
  const stale = used !== undefined && used !== operatingPoint.value && !jobReport;
  const hint = `This report uses the operating point ‘${used}’. Press Predict for ‘${operatingPoint.value}’.`;
  byId("stale-hint").textContent = stale ? hint : "";
}

byId("predict").addEventListener("click", predict);
for (const id of ["assess-all", "problem-assess-all"]) byId(id).addEventListener("click", assessAll);
byId("retry").addEventListener("click", () => retry());
byId("back").addEventListener("click", backToJob);
byId("show-pictures").addEventListener("click", predictJobSeries);
byId("download").addEventListener("click", () => downloadReport(report));
operatingPoint.addEventListener("change", updateStaleHint);
addEventListener("hashchange", route);
onFilesDropped(
  (entries) => {
    if (!call && entries.length > 0) selection.replace(entries);
  },
  (detail) => showProblem(new RequestError({ title: "The dropped files cannot be opened", detail, status: 400 })),
);

route();
const model = await loadServedModel();
fillOperatingPoints(model);
viewer.windows = model.card.recipe.windows;
