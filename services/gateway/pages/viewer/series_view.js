// One series: its slices, overlays and report. A series in progress waits and opens.

import { announce, element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { titleWithWarnings } from "../report/labels.js";
import { createReportPanel } from "../report/report_panel.js";
import { verdictFor } from "../report/verdict.js";
import { events, getJson } from "../request.js";
import { lastWorklist, replaceAddress, routeAddress } from "../router.js";
import { createOverlayPanel } from "./overlay_panel.js";
import { Stage } from "./stage.js";

/** @typedef {import("../types.js").WorklistEntry} WorklistEntry */

const SETTLING_MS = 300; // after the last change of the slice
const SYMBOLS = { present: "!", absent: "–", unknown: "?" };

/** @type {import("../router.js").OpenView} */
export function openSeriesView(container, { job, number, slice }) {
  const view = new SeriesView(container, job, Number(number));
  view.open(slice === undefined ? undefined : Number(slice));
  return view;
}

class SeriesView {
  #job;
  #number;
  #abort = new AbortController();
  #title = element("h2", { tabindex: "-1" });
  #links = element("p", { class: "row" });
  #body = element("div", { class: "series-body" });
  /** @type {Stage | undefined} */
  #stage;
  #settling = 0;

  /** @param {HTMLElement} container @param {string} job @param {number} number */
  constructor(container, job, number) {
    this.#job = job;
    this.#number = number;
    this.#title.textContent = t("viewer.title", { number: number + 1 });
    this.#links.append(element("a", { href: lastWorklist.address }, t("viewer.back")));
    container.append(element("header", { class: "series-head" }, this.#links, this.#title), this.#body);
  }

  /** @param {number | undefined} index slice that the address names */
  async open(index) {
    const described = this.#describe();
    try {
      const report = await this.#report();
      this.#show(report, index);
      await described;
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#fail(/** @type {any} */ (error));
    }
  }

  close() {
    this.#abort.abort();
    clearTimeout(this.#settling);
    this.#stage?.close();
  }

  get #options() {
    return { signal: this.#abort.signal };
  }

  /** The report; while there is none, waits for the job's events. */
  async #report() {
    const read = () => getJson(`v1/jobs/${this.#job}/series/${this.#number}/report`, this.#options);
    try {
      return await read();
    } catch (error) {
      if (!isWaiting(error)) throw error;
    }
    const progress = element("p", { class: "card", role: "status" }, t("viewer.waiting"));
    this.#body.replaceChildren(progress);
    for await (const { event, data } of events(`v1/jobs/${this.#job}/events`, this.#abort.signal)) {
      if (event === "gone" || data?.status === "cancelled") throw { title: t("viewer.gone"), detail: t("viewer.gone_detail") };
      if (event !== "progress" && event !== "end") continue;
      progress.textContent = t("viewer.progress", { done: data.progress.series_done, total: data.progress.series ?? "?" });
      try {
        return await read();
      } catch (error) {
        if (!isWaiting(error) || event === "end") throw error;
      }
    }
  }

  /** @param {any} report @param {number | undefined} index */
  #show(report, index) {
    this.#body.replaceChildren(banner(report));
    const panel = createReportPanel({ job: this.#job, number: this.#number, report, onSlice: (target) => this.#stage?.canvas.go(target) });
    const columns = element("div", { class: "series-columns" });
    if (report.slices?.length > 0) columns.append(...this.#showStage(report, firstSlice(report, index), panel));
    else columns.append(panel);
    this.#body.append(columns);
    this.#stage?.canvas.element.focus({ preventScroll: true });
    announce(verdictFor(report).title);
  }

  /** @param {any} report @param {number} index @param {import("../report/report_panel.js").ReportPanel} panel */
  #showStage(report, index, panel) {
    const stage = new Stage({ job: this.#job, number: this.#number, report, index });
    this.#stage = stage;
    stage.overlay = createOverlayPanel(stage.canvas, this.#job, this.#number, report);
    stage.canvas.addEventListener("slicechange", () => {
      panel.update(stage.canvas.index);
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => this.#settle(stage), SETTLING_MS);
    });
    panel.update(index);
    return [stage.element, element("div", { class: "side-panel" }, stage.overlay, panel)];
  }

  /** Browsers refuse many changes of the address a second, and a screen reader has no time for each slice. @param {Stage} stage */
  #settle(stage) {
    replaceAddress(routeAddress(`/jobs/${this.#job}/series/${this.#number}`, { slice: stage.canvas.index }));
    announce(stage.summary);
  }

  /** Title and links from the worklist; the view works without them. */
  async #describe() {
    try {
      const { entries } = await getJson(`v1/worklist?job=${this.#job}&limit=500`, this.#options);
      const entry = entries.find((/** @type {WorklistEntry} */ { number }) => number === this.#number);
      if (!entry) return;
      const words = [entry.patient_name, entry.study_description, entry.series_description].filter(Boolean);
      if (words.length > 0) this.#title.textContent = words.join(" · ");
      if (entry.patient) await this.#linkPrior(entry);
    } catch {
      // The report says why where the service does not answer.
    }
  }

  /** @param {WorklistEntry} entry */
  async #linkPrior(entry) {
    const { entries } = await getJson(`v1/worklist?patient=${entry.patient}&sort=acquired&limit=100`, this.#options);
    const prior = lastBefore(entry, entries);
    if (!prior || prior.number === null) return;
    const path = `/compare/${this.#job}/${this.#number}/${prior.job}/${prior.number}`;
    const text = [prior.series_description ?? t("viewer.title", { number: prior.number + 1 }), timeOf(prior).slice(0, 10)].join(", ");
    this.#links.append(element("a", { href: routeAddress(path) }, t("viewer.compare", { text })));
  }

  /** @param {{ title?: string, detail?: string, status?: number, code?: string }} error */
  #fail(error) {
    const isGone = error.status === 404 && error.code !== "no_report";
    const [title, detail] = isGone ? [t("viewer.gone"), t("viewer.gone_detail")] : [error.title ?? String(error), error.detail ?? ""];
    this.#body.replaceChildren(element("div", { class: "series-banner", "data-kind": "unknown", role: "alert" }, element("div", {}, element("strong", {}, title), element("p", {}, detail))));
  }
}

/** The verdict above the slices; where nothing was assessed, with the reasons. @param {any} report */
export function banner(report) {
  const { kind, title, detail } = verdictFor(report);
  const reasons = kind === "unknown" ? (report.reasons ?? []).filter((/** @type {any} */ { severity }) => severity === "refuse") : [];
  return element(
    "div",
    { class: "series-banner", "data-kind": kind },
    element("span", { class: "symbol", "aria-hidden": "true" }, SYMBOLS[kind]),
    element(
      "div",
      {},
      element("strong", {}, ...titleWithWarnings(title, report)),
      ...(kind === "unknown" ? [element("p", {}, detail)] : []),
      ...reasons.map((/** @type {any} */ reason) => element("p", { lang: "en" }, reason.detail)),
    ),
  );
}

/** @param {any} report @param {number | undefined} index */
function firstSlice({ slices, key_slices: keys }, index) {
  const wanted = Number.isInteger(index) ? index : keys?.[0];
  return Math.min(Math.max(wanted ?? slices.length >> 1, 0), slices.length - 1);
}

/** The same patient's last series before this one; without an earlier one the latest other. @param {WorklistEntry} entry @param {WorklistEntry[]} entries */
export function lastBefore(entry, entries) {
  const others = entries.filter(({ job, number, slices }) => number !== null && slices !== null && (job !== entry.job || number !== entry.number));
  const latestFirst = others.sort((one, other) => timeOf(other).localeCompare(timeOf(one)));
  return latestFirst.find((other) => timeOf(other) < timeOf(entry)) ?? latestFirst[0];
}

/** @param {WorklistEntry} entry */
const timeOf = ({ acquired, received }) => acquired ?? received;

/** @param {any} error */
const isWaiting = ({ status, code }) => status === 404 && code === "no_report";
