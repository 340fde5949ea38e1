// Two series side by side: a patient's present and earlier scan.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { getJson } from "../request.js";
import { routeAddress } from "../router.js";
import { formatNumber } from "../text.js";
import { CompareLink } from "./compare_link.js";
import { createOverlayPanel } from "./overlay_panel.js";
import { banner } from "./series_view.js";
import { Stage } from "./stage.js";

/** @typedef {import("../types.js").WorklistEntry} WorklistEntry */
/** @typedef {{ job: string, number: number, report: any, entry: WorklistEntry | undefined }} Series */
/** @typedef {{ element: HTMLElement, entry: WorklistEntry | undefined, stage?: Stage }} Pane */

/** @type {import("../router.js").OpenView} */
export function openCompareView(container, { job, number, otherJob, otherNumber }) {
  const closing = new AbortController();
  /** @type {Pane[]} */
  let panes = [];
  const read = Promise.all([readSeries(job, Number(number), closing.signal), readSeries(otherJob, Number(otherNumber), closing.signal)]);
  read.then(
    (both) => {
      if (closing.signal.aborted) return;
      panes = both.map(openPane);
      container.append(patientNote(panes), ...linkControls(panes), element("div", { class: "compare" }, ...panes.map((pane) => pane.element)));
    },
    (error) => closing.signal.aborted || container.append(element("p", { class: "card", role: "alert" }, `${error.message}. ${error.detail ?? ""}`)),
  );
  const close = () => {
    closing.abort();
    for (const { stage } of panes) stage?.close();
  };
  return { close };
}

/** @param {string} job @param {number} number @param {AbortSignal} signal @returns {Promise<Series>} */
async function readSeries(job, number, signal) {
  const [report, list] = await Promise.all([
    getJson(`v1/jobs/${job}/series/${number}/report`, { signal }),
    getJson(`v1/worklist?job=${job}&limit=500`, { signal }),
  ]);
  return { job, number, report, entry: list.entries.find((/** @type {WorklistEntry} */ one) => one.number === number) };
}

/** @param {Series} series @returns {Pane} */
function openPane({ job, number, report, entry }) {
  const title = element("h2", {}, element("a", { href: routeAddress(`/jobs/${job}/series/${number}`) }, describe(entry, number)));
  const pane = element("section", { class: "compare-pane", "aria-label": title.textContent ?? "" }, title, banner(report));
  if (!report.slices?.length) return { element: pane, entry };
  const stage = new Stage({ job, number, report, index: report.key_slices?.[0] ?? report.slices.length >> 1 });
  stage.overlay = createOverlayPanel(stage.canvas, job, number, report);
  pane.append(stage.element, stage.overlay);
  return { element: pane, entry, stage };
}

/** Description and date of a series. @param {WorklistEntry | undefined} entry @param {number} number */
function describe(entry, number) {
  const words = [entry?.study_description, entry?.series_description].filter(Boolean).join(", ") || t("compare.series", { number: number + 1 });
  const time = (entry?.acquired ?? entry?.received ?? "").replace("T", " ").slice(0, 16);
  return [words, entry && !entry.acquired ? t("compare.received", { time }) : time].filter(Boolean).join(", ");
}

/** @param {Pane[]} panes */
function patientNote([{ entry }, { entry: other }]) {
  if (!entry?.patient || !other?.patient) return element("p", { class: "compare-warning", role: "alert" }, t("compare.unknown"));
  if (entry.patient !== other.patient) return element("p", { class: "compare-warning", role: "alert" }, t("compare.different"));
  return element("p", { class: "hint" }, t("compare.same"));
}

/** @param {Pane[]} panes */
function linkControls([{ stage }, { stage: other }]) {
  if (!stage || !other) return [];
  const link = new CompareLink([stage.canvas, other.canvas]);
  const offset = element("span", { class: "hint tabular", role: "status" });
  const show = () => {
    offset.textContent = t("compare.offset", { offset: formatNumber(link.offset, 1, 1) });
  };
  const here = element("button", { type: "button", title: t("compare.here_hint") }, t("compare.here"));
  here.addEventListener("click", () => {
    link.linkHere();
    show();
  });
  show();
  const scrolling = link.positions ? [check(t("compare.scrolls"), link, "scrolls"), here, offset] : [element("span", { class: "hint" }, t("compare.no_positions"))];
  return [element("div", { class: "overlay-controls" }, check(t("compare.views"), link, "views"), ...scrolling)];
}

/** @param {string} text @param {CompareLink} link @param {"scrolls" | "views"} name */
function check(text, link, name) {
  const box = element("input", { type: "checkbox", checked: "" });
  box.addEventListener("change", () => {
    link[name] = box.checked;
  });
  return element("label", {}, box, text);
}
