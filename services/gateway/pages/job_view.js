// The section of one job: progress, series, downloads, cancellation and deletion.

import { announce, byId, element, focusSection, show } from "./dom.js";
import { describeProgress, SeriesList } from "./series_list.js";
import { deleteJob, downloadReports, followJob } from "./jobs.js";
import { saveFile } from "./report.js";
import { pluralize } from "./text.js";

const SET_ASIDE_CODES = ["not_dicom", "system_file", "dicomdir", "not_an_image", "not_a_ct_slice"];
const CANCEL_QUESTION = "Cancel this job? The server deletes its files at once and keeps finished reports.";
const DELETE_QUESTION = "Delete this job? The server deletes its files and reports at once.";
const NO_SERIES = "None of its files belongs to a CT series. Send DICOM slices, or PNG pictures of 512 x 512 pixels.";
const CANCELLED = "The server has deleted the files. It keeps finished reports until you delete the job.";

export class JobView {
  // Calls `onOpen(report)` for a selected series, `onError(error)` where a request fails, `onCancelled()` after a
  // cancellation, and `onDeleted()` after a deletion.
  constructor({ onOpen, onError, onCancelled, onDeleted }) {
    Object.assign(this, { onError, onCancelled, onDeleted });
    this.list = new SeriesList(onOpen);
    byId("job-cancel").addEventListener("click", () => this.delete(CANCEL_QUESTION));
    byId("job-delete").addEventListener("click", () => this.delete(DELETE_QUESTION));
    byId("job-csv").addEventListener("click", () => this.save("text/csv", "csv"));
    byId("job-ndjson").addEventListener("click", () => this.save("application/x-ndjson", "ndjson"));
  }

  async open(id) {
    this.close();
    const stop = (this.stop = new AbortController());
    this.id = id;
    this.setTitle("Loading the job", "");
    byId("job-bar").removeAttribute("value");
    for (const name of ["job-cancel", "job-delete", "job-tools", "left-out"]) show(byId(name), false);
    show(byId("job"));
    focusSection(byId("job-title"), byId("job"));
    const callbacks = {
      onReport: (report) => this.list.add(report),
      onJob: (job) => this.render(job),
      onDisconnect: () => this.setTitle("The service does not answer. Retrying …", byId("job-summary").textContent),
    };
    try {
      await followJob(id, callbacks, stop.signal);
    } catch (error) {
      if (stop.signal.aborted) return;
      this.close();
      this.onError(error);
    }
  }

  close() {
    this.stop?.abort();
    this.id = this.job = undefined;
    this.list.clear();
    show(byId("job"), false);
  }

  render(job) {
    const ended = job.ended !== null;
    if (ended && this.job?.ended !== job.ended) announce(jobTitle(job));
    this.job = job;
    this.setTitle(jobTitle(job), jobSummary(job));
    const { slices, slices_done: done, series, series_done: seriesDone } = job.progress;
    byId("job-count").textContent = series ? `${seriesDone} of ${pluralize(series, "series", "series")}` : "";
    if (ended) byId("job-bar").value = 1;
    else if (slices) byId("job-bar").value = done / slices;
    show(byId("job-progress"), !ended);
    show(byId("job-cancel"), !ended);
    show(byId("job-delete"), ended);
    show(byId("job-tools"), seriesDone > 0);
    byId("job-warnings").textContent = job.warnings.map(({ detail }) => detail).join(" ");
    show(byId("job-warnings"), job.warnings.length > 0);
    this.renderLeftOut(job);
  }

  setTitle(title, summary) {
    byId("job-title").textContent = title;
    byId("job-summary").textContent = summary;
    show(byId("job-summary"), summary !== "");
  }

  // Unreadable files come first, in an open list: a series may lack them.
  renderLeftOut({ left_out: files, left_out_total: total }) {
    const unreadable = files.filter(({ code }) => !SET_ASIDE_CODES.includes(code));
    show(byId("left-out"), total > 0);
    const limit = total > files.length ? `; the first ${files.length} are listed` : "";
    byId("left-out-summary").textContent = `${pluralize(total, "file")} in no series${limit}`;
    const rows = [...unreadable, ...files.filter((file) => !unreadable.includes(file))].map(({ file, reason }) =>
      element("li", {}, element("span", { class: "path" }, file), element("span", { class: "hint" }, reason)),
    );
    if (unreadable.length > 0) byId("left-out").open = true;
    byId("left-out-files").replaceChildren(...rows);
  }

  async delete(question) {
    if (!confirm(question)) return;
    try {
      const response = await deleteJob(this.id);
      if (response.status === 200) this.cancelled(await response.json());
      else this.onDeleted();
    } catch (error) {
      this.onError(error);
    }
  }

  cancelled(job) {
    this.render(job);
    this.onCancelled();
  }

  async save(type, extension) {
    try {
      saveFile(await downloadReports(this.id, type), `job-${this.id}.${extension}`);
    } catch (error) {
      this.onError(error);
    }
  }
}

function jobTitle({ status, progress, queue_position: position }) {
  if (status === "queued") return position ? "Queued" : "Finding the series";
  if (status === "running") return "Assessing the series";
  if (status === "cancelled") return "Cancelled";
  if (status === "failed") return "No series found";
  return progress.series === 1 ? "The series is done" : `All ${pluralize(progress.series, "series", "series")} are done`;
}

function jobSummary(job) {
  if (job.status === "cancelled") return [CANCELLED, describeProgress(job)].filter(Boolean).join(" ");
  if (job.status === "failed") return job.problem?.detail ?? NO_SERIES;
  return describeProgress(job);
}
