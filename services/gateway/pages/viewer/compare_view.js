// Two series side by side: a patient's present and earlier scan.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { getJson } from "../request.js";
import { routeAddress } from "../router.js";
import { formatNumber } from "../text.js";
import { CompareLink } from "./compare_link.js";
import { createOverlayPanel } from "./overlay_panel.js";
import { banner, isForControl } from "./series_view.js";
import { Stage } from "./stage.js";

/** @typedef {import("../types.js").WorklistEntry} WorklistEntry */
/** @typedef {{ element: HTMLElement, entry: WorklistEntry | undefined, stage?: Stage }} Pane */

/** @type {import("../router.js").OpenView} */
export function openCompareView(container, { job, number, otherJob, otherNumber }) {
  const closing = new AbortController();
  /** @type {Pane[]} */
  let panes = [];
  const opened = Promise.all([openPane(job, Number(number), closing.signal), openPane(otherJob, Number(otherNumber), closing.signal)]);
  opened.then(
    (both) => {
      panes = both;
      if (closing.signal.aborted) return closePanes(panes);
      container.append(heading(panes), ...linkControls(panes), element("div", { class: "compare" }, ...panes.map((pane) => pane.element)));
    },
    (error) => closing.signal.aborted || container.append(element("p", { class: "card", role: "alert" }, `${error.message}. ${error.detail ?? ""}`)),
  );
  const close = () => {
    closing.abort();
    closePanes(panes);
  };
  return { close };
}

/** @param {Pane[]} panes */
function closePanes(panes) {
  for (const { stage } of panes) stage?.close();
}

/** @param {string} job @param {number} number @param {AbortSignal} signal @returns {Promise<Pane>} */
async function openPane(job, number, signal) {
  const [report, list] = await Promise.all([
    getJson(`v1/jobs/${job}/series/${number}/report`, { signal }),
    getJson(`v1/worklist?job=${job}&limit=500`, { signal }),
  ]);
  const entry = list.entries.find((/** @type {WorklistEntry} */ one) => one.number === number);
  const title = element("h2", {}, element("a", { href: routeAddress(`/jobs/${job}/series/${number}`) }, describe(entry, number)));
  const pane = element("section", { class: "compare-pane", "aria-label": title.textContent ?? "" }, title, banner(report));
  if (!report.slices?.length) return { element: pane, entry };
  const stage = new Stage({ job, number, report, index: report.key_slices?.[0] ?? report.slices.length >> 1 });
  const overlay = createOverlayPanel(stage.canvas, job, number, report);
  stage.element.addEventListener("keydown", (event) => {
    if (!isForControl(event) && (stage.onKey(event) || overlay.onKey(event))) event.preventDefault();
  });
  pane.append(stage.element, overlay);
  return { element: pane, entry, stage };
}

/** Description and date of a series. @param {WorklistEntry | undefined} entry @param {number} number */
function describe(entry, number) {
  const words = [entry?.study_description, entry?.series_description].filter(Boolean).join(", ");
  const date = entry?.acquired ?? entry?.received ?? "";
  return `${words || t("compare.series", { number: number + 1 })} ${date.replace("T", " ").slice(0, 16)}`.trim();
}

/** @param {Pane[]} panes */
function heading([{ entry }, { entry: other }]) {
  const same = entry?.patient && entry.patient === other?.patient;
  const known = entry?.patient && other?.patient;
  const text = same ? t("compare.same") : known ? t("compare.different") : t("compare.unknown");
  return element("p", same ? { class: "hint" } : { class: "compare-warning", role: "alert" }, text);
}

/** @param {Pane[]} panes */
function linkControls([{ stage }, { stage: other }]) {
  if (!stage || !other) return [];
  const link = new CompareLink([stage.canvas, other.canvas]);
  const offset = element("span", { class: "hint tabular", role: "status" });
  const show = () => (offset.textContent = t("compare.offset", { offset: formatNumber(link.offset, 1, 1) }));
  link.addEventListener("offset", show);
  show();
  const here = element("button", { type: "button", title: t("compare.here_hint") }, t("compare.here"));
  here.addEventListener("click", () => link.linkHere());
  const scrolls = check(t("compare.scrolls"), (on) => (link.scrolls = on));
  const views = check(t("compare.views"), (on) => (link.views = on));
  return [element("div", { class: "overlay-controls" }, scrolls, here, offset, views)];
}

/** @param {string} text @param {(on: boolean) => void} onChange */
function check(text, onChange) {
  const box = element("input", { type: "checkbox" });
  box.checked = true;
  box.addEventListener("change", () => onChange(box.checked));
  return element("label", {}, box, text);
}
