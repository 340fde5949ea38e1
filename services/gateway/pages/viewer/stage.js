// The canvas of a series with all that moves it: tool bar, slider, key slices, strip, readout.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { sliceTitle } from "../report/labels.js";
import { predictedLabels } from "../report/verdict.js";
import { formatNumber, labelNames } from "../text.js";
import { createCommands, openViewerHelp } from "./commands.js";
import { MeasurementLayer } from "./measurement_layer.js";
import { SliceCanvas } from "./slice_canvas.js";
import { SliceStrip } from "./slice_strip.js";
import { createToolbar } from "./toolbar.js";
import { Tools, describePixel } from "./tools.js";

/** @typedef {import("../types.js").ReportSlice} ReportSlice */

export class Stage {
  element = element("section", { class: "stage", "aria-label": t("viewer.slices") });
  canvas;
  /** Its keys work on the stage. @type {import("./overlay_panel.js").OverlayPanel | undefined} */
  overlay;
  #report;
  #tools;
  #commands;
  #openHelp = () => openViewerHelp(this.#commands);
  #strip;
  #slider = element("input", { type: "range", min: 0 });
  #previous = stepButton("‹", t("viewer.previous"), () => this.canvas.go(this.canvas.index - 1));
  #next = stepButton("›", t("viewer.next"), () => this.canvas.go(this.canvas.index + 1));
  #keys;
  #place = element("p", { class: "place" });
  #progress = element("span", { class: "hint" });
  #readout = element("p", { class: "readout" });
  #view = element("p", { class: "view-state", "aria-hidden": "true" });

  /** @param {{ job: string, number: number, report: any, index: number }} options */
  constructor({ job, number, report, index }) {
    this.#report = report;
    this.canvas = new SliceCanvas({ job, number, report, index });
    const layer = new MeasurementLayer(this.canvas);
    this.#tools = new Tools(this.canvas, layer);
    this.#commands = createCommands(this.canvas, this.#tools);
    this.#strip = new SliceStrip(report, (target) => this.canvas.go(target));
    this.#keys = keyButtons(report.key_slices ?? [], (target) => this.canvas.go(target));
    this.#slider.max = String(report.slices.length - 1);
    this.#slider.addEventListener("input", () => this.canvas.go(Number(this.#slider.value)));
    this.canvas.element.append(this.#place, this.#readout, this.#view);
    const steps = element("div", { class: "slider-row" }, this.#previous, this.#slider, this.#next);
    this.element.append(createToolbar(this.canvas, this.#tools, this.#commands, this.#openHelp), this.canvas.element, steps, this.#keys, this.#strip.element, layer.list);
    this.#listen();
    this.#showSlice();
    this.#showView();
  }

  /** Acts on a key and says whether it did. @param {KeyboardEvent} event */
  #onKey(event) {
    const { key } = event;
    const command = this.#commands.find((one) => one.key === (key === "=" ? "+" : key));
    if (command) command.run();
    else if (key === "n" || key === "p") this.#goToKeySlice(key === "n" ? 1 : -1);
    else if (key === "?") this.#openHelp();
    else return this.#tools.onKey(event) || Boolean(this.overlay?.onKey(event));
    return true;
  }

  close() {
    this.canvas.close();
  }

  #listen() {
    this.element.addEventListener("keydown", (event) => {
      if (!isForControl(event) && this.#onKey(event)) event.preventDefault();
    });
    this.canvas.addEventListener("slicechange", () => this.#showSlice());
    this.canvas.addEventListener("load", () => {
      this.#showProgress();
      this.#showView();
    });
    this.canvas.addEventListener("viewchange", () => this.#showView());
    this.#tools.addEventListener("probe", (event) => {
      this.#readout.textContent = describePixel(this.canvas, /** @type {CustomEvent} */ (event).detail);
    });
  }

  /** @param {number} step */
  #goToKeySlice(step) {
    const found = [...(this.#report.key_slices ?? [])].sort((one, other) => one - other).filter((index) => step * (index - this.canvas.index) > 0);
    if (found.length > 0) this.canvas.go(step > 0 ? found[0] : found[found.length - 1]);
  }

  #showSlice() {
    const { slice, index } = this.canvas;
    const title = sliceTitle(slice, this.#report);
    this.#place.replaceChildren(element("strong", {}, title), ...this.#facts(slice).map((fact) => element("span", {}, fact)), this.#progress);
    this.#strip.mark(index);
    this.#slider.value = String(index);
    this.#slider.setAttribute("aria-label", t("viewer.slice"));
    this.#slider.setAttribute("aria-valuetext", title);
    [this.#previous.disabled, this.#next.disabled] = [index === 0, index === this.#report.slices.length - 1];
    for (const button of this.#keys.querySelectorAll("button")) button.setAttribute("aria-pressed", String(Number(button.dataset.index) === index));
    this.#nameCanvas();
    this.#showProgress();
  }

  /** @param {any} slice @returns {string[]} */
  #facts({ position_mm: position, slab }) {
    const { series, slices } = this.#report;
    const count = slices.filter((/** @type {any} */ other) => other.slab === slab).length;
    return [
      ...(series?.series_instance_uid ? [t("viewer.position", { mm: formatNumber(position, 1, 1) })] : []),
      ...(Number.isInteger(slab) && count > 1 ? [t("viewer.slab", { count })] : []),
    ];
  }

  #showProgress() {
    const { loaded, capacity } = this.canvas.loader;
    this.#progress.textContent = loaded < capacity ? t("viewer.loaded", { loaded, total: this.#report.slices.length }) : "";
  }

  #showView() {
    const { window: { centre, width }, image, zoom } = this.canvas;
    const levels = image?.rgb ? "" : t("viewer.window_state", { centre, width });
    this.#view.textContent = [levels, t("viewer.zoom_state", { percent: Math.round(100 * zoom) })].filter(Boolean).join(" · ");
    this.#nameCanvas();
  }

  /** "Slice 12 of 34. Predicted: subdural". */
  get summary() {
    const { predictions } = this.canvas.slice;
    const labels = predictedLabels(predictions);
    const found = !predictions ? t("verdict.not_assessed") : labels.length > 0 ? t("viewer.predicted", { labels: labelNames(labels) }) : t("viewer.nothing_predicted");
    return `${sliceTitle(this.canvas.slice, this.#report)}. ${found}`;
  }

  /** For screen readers: slice, prediction, and which side of the patient is where. */
  #nameCanvas() {
    const { marks } = this.canvas;
    const sides = marks ? t("viewer.sides", mapped(marks, directionName)) : t("viewer.no_sides");
    this.canvas.element.setAttribute("aria-label", [this.summary, sides, t("viewer.keys_hint")].join(". "));
  }
}

/** @param {string} mark L, R, A, P, H or F */
const directionName = (mark) => t(/** @type {any} */ (`viewer.side_${mark.toLowerCase()}`));

/** @param {Record<string, string>} values @param {(value: string) => string} change */
const mapped = (values, change) => Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]));

/** @param {string} symbol @param {string} name @param {() => void} onClick */
function stepButton(symbol, name, onClick) {
  const button = element("button", { type: "button", "aria-label": name, title: name }, symbol);
  button.addEventListener("click", onClick);
  return button;
}

/** @param {number[]} keys @param {(index: number) => void} onSlice */
function keyButtons(keys, onSlice) {
  const buttons = keys.map((index) => {
    const button = element("button", { type: "button", "data-index": index, "aria-label": t("viewer.key_slice", { number: index + 1 }) }, String(index + 1));
    button.addEventListener("click", () => onSlice(index));
    return button;
  });
  const row = element("div", { class: "key-slices", role: "group", "aria-label": t("report.key_slices") }, element("span", { class: "hint" }, t("viewer.key_slices")), ...buttons);
  row.hidden = keys.length === 0;
  return row;
}

/** Keys that a control needs itself. @param {KeyboardEvent} event */
function isForControl({ target, key, ctrlKey, metaKey, altKey }) {
  if (ctrlKey || metaKey || altKey) return true;
  if (target instanceof HTMLButtonElement) return key === "Enter" || key === " ";
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
}
