// The card of one job: how far it is, its series, and what can be done with it.

import { announce, byId, element, present, show } from "./dom.js";
import { JobList, progressWords } from "./joblist.js";
import { endJob, follow, reportsAs } from "./jobs.js";
import { saveAs } from "./report.js";
import { counted } from "./text.js";

const HARMLESS = ["not_dicom", "system_file", "dicomdir", "not_an_image", "not_a_ct_slice"];
const ON_CANCEL = "Cancel this job? Its files are removed from the server at once; finished reports stay.";
const ON_REMOVE = "Remove this job? Its files and reports are removed from the server at once.";
const CANCELLED = "The files are removed from the server. Finished reports stay until the job is removed.";

export class JobView {
  // `onOpen(report)` when a series is chosen; `onFailure(failure)` where the job can't be followed or ended;
  // `onCancelled()` when it was, and `onForgotten()` when it was removed.
  constructor({ onOpen, onFailure, onCancelled, onForgotten }) {
    Object.assign(this, { onFailure, onCancelled, onForgotten });
    this.list = new JobList(onOpen);
    byId("job-cancel").addEventListener("click", () => this.end(ON_CANCEL));
    byId("job-forget").addEventListener("click", () => this.end(ON_REMOVE));
    byId("job-csv").addEventListener("click", () => this.save("text/csv", "csv"));
    byId("job-ndjson").addEventListener("click", () => this.save("application/x-ndjson", "ndjson"));
  }

  async open(id) {
    this.close();
    const stop = (this.stop = new AbortController());
    this.id = id;
    this.say("Looking for the job", "");
    byId("job-bar").removeAttribute("value");
    for (const name of ["job-cancel", "job-forget", "job-tools", "job-left-out"]) show(byId(name), false);
    show(byId("job"));
    present(byId("job-title"), byId("job"));
    const told = {
      onReport: (report) => this.list.add(report),
      onJob: (job) => this.fill(job),
      onTrouble: () => this.say("The service does not answer. Trying again …", byId("job-words").textContent),
    };
    try {
      await follow(id, told, stop.signal);
    } catch (failure) {
      if (stop.signal.aborted) return;
      this.close();
      this.onFailure(failure);
    }
  }

  close() {
    this.stop?.abort();
    this.id = this.job = undefined;
    this.list.clear();
    show(byId("job"), false);
  }

  fill(job) {
    const ended = job.ended !== null;
    if (ended && this.job?.ended !== job.ended) announce(titleOf(job));
    this.job = job;
    this.say(titleOf(job), wordsOf(job));
    const { slices, slices_done: done, series, series_done: seriesDone } = job.progress;
    byId("job-amount").textContent = series ? `${seriesDone} of ${counted(series, "series", "series")}` : "";
    if (ended) byId("job-bar").value = 1;
    else if (slices) byId("job-bar").value = done / slices;
    show(byId("job-progress"), !ended);
    show(byId("job-cancel"), !ended);
    show(byId("job-forget"), ended);
    show(byId("job-tools"), seriesDone > 0);
    byId("job-warnings").textContent = job.warnings.map(({ detail }) => detail).join(" ");
    show(byId("job-warnings"), job.warnings.length > 0);
    this.leftOut(job);
  }

  say(title, words) {
    byId("job-title").textContent = title;
    byId("job-words").textContent = words;
    show(byId("job-words"), words !== "");
  }

  // A damaged file may be a slice that a series lacks: that is not left to be found in a closed list.
  leftOut({ left_out: files, left_out_total: total }) {
    const damaged = files.filter(({ code }) => !HARMLESS.includes(code));
    show(byId("job-left-out"), total > 0);
    show(byId("job-damaged"), damaged.length > 0);
    byId("job-damaged").textContent =
      `${counted(damaged.length, "file")} cannot be read. A series may lack ${damaged.length === 1 ? "it" : "them"}.`;
    const more = total > files.length ? `; the first ${files.length} are listed` : "";
    byId("job-left-out-summary").textContent = `${counted(total, "file")} in no series${more}`;
    const rows = [...damaged, ...files.filter((file) => !damaged.includes(file))].map(({ file, reason }) =>
      element("li", {}, element("span", { class: "path" }, file), element("span", { class: "hint" }, reason)),
    );
    if (damaged.length > 0) byId("job-left-out").open = true;
    byId("job-left-out-files").replaceChildren(...rows);
  }

  async end(question) {
    if (!confirm(question)) return;
    try {
      const answer = await endJob(this.id);
      if (answer.status === 200) this.cancelled(await answer.json());
      else this.onForgotten();
    } catch (failure) {
      this.onFailure(failure);
    }
  }

  cancelled(job) {
    this.fill(job);
    this.onCancelled();
  }

  async save(type, ending) {
    try {
      saveAs(await reportsAs(this.id, type), `job-${this.id}.${ending}`);
    } catch (failure) {
      this.onFailure(failure);
    }
  }
}

function titleOf({ status, progress, queue_position: before }) {
  if (status === "queued") return before ? "Waiting for its turn" : "Finding the series";
  if (status === "running") return "Assessing the series";
  if (status === "cancelled") return "Cancelled";
  if (status === "failed") return "No series could be found";
  return progress.series === 1 ? "The series is done" : `All ${counted(progress.series, "series", "series")} are done`;
}

function wordsOf(job) {
  if (job.status === "cancelled") return [CANCELLED, progressWords(job)].filter(Boolean).join(" ");
  if (job.status === "failed") return job.problem?.detail ?? "None of its files belongs to a CT series.";
  return progressWords(job);
}
