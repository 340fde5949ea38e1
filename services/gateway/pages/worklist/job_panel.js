// One job above its series: progress, counts, warnings, files in no series, downloads, priority, cancellation, deletion.

import { announce, button, element, saveFile, show } from "../dom.js";
import { problemText } from "../errors.js";
import { t } from "../i18n/i18n.js";
import { events, request } from "../request.js";
import { togglePriority } from "./pages.js";

/** @typedef {import("../types.js").JobDocument} Job */

const SET_ASIDE_CODES = ["not_dicom", "system_file", "dicomdir", "not_an_image", "not_a_ct_slice"];
const OUTCOMES = /** @type {const} */ (["assessed", "not_assessed", "failed"]);

/** @param {string} id @param {AbortSignal} signal */
export function createJobPanel(id, signal) {
  const panel = new JobPanel(id);
  panel.follow(signal);
  return panel.element;
}

class JobPanel {
  #id;
  /** @type {Job | undefined} */
  #job;
  #title = element("h2", { id: "job-title", tabindex: "-1" }, t("job.loading"));
  #bar = element("progress", { max: "1", "aria-labelledby": "job-title" });
  #summary = element("p", { class: "hint" });
  #warnings = element("p", { class: "warning-note", lang: "en" });
  #leftOut = element("details", { hidden: "" });
  #problem = element("p", { class: "problem-note", role: "alert" });
  #tools = {
    csv: this.#button("job.csv", () => this.#save("text/csv", "csv")),
    ndjson: this.#button("job.ndjson", () => this.#save("application/x-ndjson", "ndjson")),
    urgent: this.#button("list.urgent", async () => this.#draw(await togglePriority(this.#id, this.#job?.priority))),
    cancel: this.#button("job.cancel", () => this.#delete("job.cancel_question")),
    delete: this.#button("job.delete", () => this.#delete("job.delete_question")),
  };

  /** @param {string} id */
  constructor(id) {
    this.#id = id;
    const tools = element("p", { class: "row" }, ...Object.values(this.#tools));
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
      if (/** @type {any} */ (error).status === 404) this.#gone();
      else if (!signal.aborted) this.#problem.textContent = problemText(error);
    }
  }

  /** @param {Job} job */
  #draw(job) {
    const ended = job.ended !== null;
    if (ended && this.#job?.ended === null) announce(jobTitle(job));
    this.#job = job;
    this.#title.textContent = jobTitle(job);
    this.#summary.textContent = summary(job).join(" · ");
    this.#warnings.textContent = job.warnings.map(({ detail }) => detail).join(" ");
    const { slices, slices_done: done, series_done: seriesDone } = job.progress;
    if (slices) this.#bar.value = done / slices;
    show(this.#bar, !ended);
    const { csv, ndjson, urgent, cancel, delete: remove } = this.#tools;
    for (const node of [csv, ndjson]) show(node, seriesDone > 0);
    for (const node of [cancel, urgent]) show(node, !ended);
    show(remove, ended);
    urgent.setAttribute("aria-pressed", String(job.priority === "urgent"));
    this.#drawLeftOut(job);
  }

  /** Unreadable files come first, in an open list: a series may lack them. @param {Job} job */
  #drawLeftOut({ left_out: files, left_out_total: total }) {
    const isSetAside = (/** @type {{ code: string }} */ { code }) => SET_ASIDE_CODES.includes(code);
    const sorted = [...files].sort((one, other) => Number(isSetAside(one)) - Number(isSetAside(other)));
    const rows = sorted.map(({ file, reason }) => element("li", {}, element("span", { class: "path" }, file), element("span", { class: "hint", lang: "en" }, reason)));
    const more = total > files.length ? t("job.first_listed", { shown: files.length }) : "";
    if (!files.every(isSetAside)) this.#leftOut.open = true;
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

  /** @param {string} type @param {string} extension */
  async #save(type, extension) {
    const response = await request(`v1/jobs/${this.#id}/reports`, { headers: { accept: type } });
    saveFile(await response.blob(), `job-${this.#id}.${extension}`);
  }

  /** @param {any} key @param {() => Promise<void>} run */
  #button(key, run) {
    const end = (/** @type {unknown} */ error) => (this.#problem.textContent = error ? problemText(error) : "");
    return button(t(key), () => run().then(end, end), { hidden: "" });
  }

  #gone() {
    this.#title.textContent = t("job.gone");
    this.#summary.textContent = t("job.gone_detail");
    for (const node of [this.#bar, ...Object.values(this.#tools)]) show(node, false);
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
function summary({ status, queue_position: position, problem, ...job }) {
  if (status === "queued") return position ? [t("job.before", { count: position })] : [];
  if (status === "failed") return [problem?.detail ?? t("job.no_series")];
  return [
    status === "cancelled" && t("job.cancelled_detail"),
    job.priority === "urgent" && t("list.urgent"),
    job.series_present > 0 && t("list.positive", { count: job.series_present }),
    ...OUTCOMES.map((outcome) => job.counts[outcome] > 0 && `${job.counts[outcome]} ${t(`status.${outcome}`)}`),
    job.series_with_warnings > 0 && t("job.with_warnings", { count: job.series_with_warnings }),
    ...job.models.map(({ name, sha256 }) => t("job.model", { name, sha256: sha256.slice(0, 12) })),
  ].filter(Boolean);
}
