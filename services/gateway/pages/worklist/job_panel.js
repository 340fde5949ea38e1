// One job above its series: progress, counts, warnings, files in no series, downloads, priority, cancellation, deletion.

import { announce, element, saveFile, show } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { events, request } from "../request.js";

/** @typedef {import("../types.js").JobDocument} Job */

const SET_ASIDE_CODES = ["not_dicom", "system_file", "dicomdir", "not_an_image", "not_a_ct_slice"];
const OUTCOMES = /** @type {const} */ (["assessed", "not_assessed", "failed"]);

/** @param {string} id @param {AbortSignal} signal */
export function createJobPanel(id, signal) {
  const panel = new JobPanel(id);
  panel.follow(signal);
  return { element: panel.element, close() {} };
}

class JobPanel {
  #id;
  /** @type {Job | undefined} */
  #job;
  #title = element("h2", { id: "job-title", tabindex: "-1" }, t("job.loading"));
  #bar = element("progress", { max: "1", "aria-labelledby": "job-title" });
  #summary = element("p", { class: "hint" });
  #warnings = element("p", { class: "warning-note", hidden: "" });
  #leftOut = element("details", { hidden: "" });
  #problem = element("p", { class: "problem-note", role: "alert" });
  #buttons;

  /** @param {string} id */
  constructor(id) {
    this.#id = id;
    this.#buttons = {
      csv: this.#button("job.csv", () => this.#save("text/csv", "csv")),
      ndjson: this.#button("job.ndjson", () => this.#save("application/x-ndjson", "ndjson")),
      urgent: this.#button("list.urgent", () => this.#setPriority()),
      cancel: this.#button("job.cancel", () => this.#delete("job.cancel_question")),
      delete: this.#button("job.delete", () => this.#delete("job.delete_question")),
    };
    const tools = element("p", { class: "row" }, ...Object.values(this.#buttons));
    const all = element("a", { href: "#/" }, t("job.back"));
    const parts = [all, this.#title, this.#bar, this.#summary, this.#warnings, this.#problem, tools, this.#leftOut];
    this.element = element("section", { class: "card job", "aria-labelledby": "job-title" }, ...parts);
  }

  /** @param {AbortSignal} signal */
  async follow(signal) {
    try {
      for await (const { event, data } of events(`v1/jobs/${this.#id}/events`, signal)) {
        if (event === "gone") return this.#gone();
        if (event === "disconnected") this.#title.textContent = t("list.not_live");
        else this.#draw(data);
        if (event === "end") return;
      }
    } catch (error) {
      const { status } = /** @type {any} */ (error);
      if (status === 404) this.#gone();
      else if (!signal.aborted) this.#fail(error);
    }
  }

  /** @param {Job} job */
  #draw(job) {
    const ended = job.ended !== null;
    if (ended && this.#job?.ended === null) announce(jobTitle(job));
    this.#job = job;
    this.#title.textContent = jobTitle(job);
    this.#summary.textContent = [...summary(job), ...job.models.map(({ name, sha256 }) => t("job.model", { name, sha256: sha256.slice(0, 12) }))].join(" · ");
    const { slices, slices_done: done, series_done: seriesDone } = job.progress;
    if (slices) this.#bar.value = done / slices;
    this.#warnings.textContent = job.warnings.map(({ detail }) => detail).join(" ");
    show(this.#warnings, job.warnings.length > 0);
    show(this.#bar, !ended);
    const { csv, ndjson, urgent, cancel, delete: remove } = this.#buttons;
    for (const button of [csv, ndjson]) show(button, seriesDone > 0);
    for (const button of [cancel, urgent]) show(button, !ended);
    show(remove, ended);
    urgent.setAttribute("aria-pressed", String(job.priority === "urgent"));
    this.#drawLeftOut(job);
  }

  /** Unreadable files come first, in an open list: a series may lack them. @param {Job} job */
  #drawLeftOut({ left_out: files, left_out_total: total }) {
    const unreadable = files.filter(({ code }) => !SET_ASIDE_CODES.includes(code));
    const rows = [...unreadable, ...files.filter((file) => !unreadable.includes(file))].map(({ file, reason }) =>
      element("li", {}, element("span", { class: "path" }, file), element("span", { class: "hint", lang: "en" }, reason)),
    );
    const more = total > files.length ? t("job.first_listed", { shown: files.length }) : "";
    if (unreadable.length > 0) this.#leftOut.open = true;
    this.#leftOut.replaceChildren(element("summary", {}, t("job.left_out", { count: total }) + more), element("ul", { class: "files" }, ...rows));
    show(this.#leftOut, total > 0);
  }

  /** @param {"job.cancel_question" | "job.delete_question"} question */
  async #delete(question) {
    if (!confirm(t(question))) return;
    const response = await request(`v1/jobs/${this.#id}`, { method: "DELETE" });
    if (response.status === 200) this.#draw(await response.json());
    else location.hash = "#/";
  }

  async #setPriority() {
    const body = JSON.stringify({ priority: this.#job?.priority === "urgent" ? "routine" : "urgent" });
    const response = await request(`v1/jobs/${this.#id}`, { method: "PATCH", body, headers: { "content-type": "application/json" } });
    this.#draw(await response.json());
  }

  /** @param {string} type @param {string} extension */
  async #save(type, extension) {
    const response = await request(`v1/jobs/${this.#id}/reports`, { headers: { accept: type } });
    saveFile(await response.blob(), `job-${this.#id}.${extension}`);
  }

  /** @param {any} key @param {() => Promise<void>} run */
  #button(key, run) {
    const button = element("button", { type: "button", hidden: "" }, t(key));
    button.addEventListener("click", () => run().then(() => (this.#problem.textContent = ""), (error) => this.#fail(error)));
    return button;
  }

  #gone() {
    this.#title.textContent = t("job.gone");
    this.#summary.textContent = t("job.gone_detail");
    for (const node of [this.#bar, ...Object.values(this.#buttons)]) show(node, false);
  }

  /** @param {any} error */
  #fail(error) {
    this.#problem.textContent = [error.title ?? String(error), error.detail].filter(Boolean).join(": ");
  }
}

/** @param {Job} job */
function jobTitle({ status, progress, queue_position: position }) {
  if (status === "queued") return t(position ? "job.queued" : "job.finding");
  if (status === "running") return t("job.running", { done: progress.series_done, count: progress.series ?? 0 });
  if (status === "cancelled" || status === "failed") return t(`job.${status}`);
  return t("job.finished", { count: progress.series ?? 0 });
}

/** @param {Job} job */
function summary(job) {
  if (job.status === "queued") return job.queue_position ? [t("job.before", { count: job.queue_position })] : [];
  if (job.status === "failed") return [job.problem?.detail ?? t("job.no_series")];
  const counts = OUTCOMES.filter((outcome) => job.counts[outcome] > 0).map((outcome) => `${job.counts[outcome]} ${t(`status.${outcome}`)}`);
  const positive = job.series_present > 0 ? [t("list.positive", { count: job.series_present })] : [];
  const warned = job.series_with_warnings > 0 ? [t("job.with_warnings", { count: job.series_with_warnings })] : [];
  return [...(job.status === "cancelled" ? [t("job.cancelled_detail")] : []), ...positive, ...counts, ...warned];
}
