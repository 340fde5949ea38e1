// The controls of the overlays: the network's heat map, the tint of plain density, and the download of the slice as drawn.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { predictedLabels } from "../report/verdict.js";
import { request } from "../request.js";
import { formatNumber, labelName } from "../text.js";
import { BLOOD_HU, DensityTint } from "./density_tint.js";
import { HeatMap, patientSide } from "./heat_map.js";
import { downloadKeySlice } from "./key_slice_download.js";
import { DEFAULT_THRESHOLD, OverlayLayer, colourOf } from "./overlay_layer.js";

/** @typedef {import("../types.js").Report} Report */
/** @typedef {import("./overlay_layer.js").OverlayOptions} OverlayOptions */
/** @typedef {import("./slice_canvas.js").SliceCanvas} SliceCanvas */
/** `onKey` acts on a key and says whether it did. @typedef {HTMLElement & { onKey(event: KeyboardEvent): boolean }} OverlayPanel */

/** @param {SliceCanvas} canvas @param {string} job @param {number} number of the series @param {Report} report @returns {OverlayPanel} */
export function createOverlayPanel(canvas, job, number, report) {
  const density = densityControls(canvas);
  /** @type {HeatMapControls | undefined} */
  let heatMap;
  const captions = () => [...(heatMap?.captions ?? []), ...(density.tint.visible ? [{ text: t("key_slice.density", BLOOD_HU) }] : [])];
  const download = button(t("key_slice.download"), () => downloadKeySlice(canvas, job, number, captions()));
  const panel = element("section", { class: "overlay-panel", "aria-label": t("overlay.title") }, row(...density.controls), row(download));
  loadMap(job, number, report).then(
    (map) => {
      heatMap = new HeatMapControls(canvas, map, report);
      panel.prepend(...heatMap.elements);
    },
    (error) => panel.prepend(element("p", { class: "hint" }, whyNoMap(report, error))),
  );
  const onKey = (/** @type {KeyboardEvent} */ { key }) => (key === "d" ? density.toggle() : (heatMap?.onKey(key) ?? false));
  panel.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && !(event.target instanceof HTMLSelectElement)) onKey(event);
  });
  return Object.assign(panel, { onKey });
}

/** @param {string} job @param {number} number @param {Report} report */
async function loadMap(job, number, report) {
  if (!report.blood) throw new Error("no map");
  const response = await request(`v1/jobs/${job}/series/${number}/blood`);
  return new HeatMap(report.blood, await response.arrayBuffer());
}

/** @param {Report} report @param {any} error */
function whyNoMap({ blood, status, reasons }, error) {
  if (blood) return t("overlay.failed", { why: error.detail || error.message });
  if (status === "not_assessed") return t("overlay.not_assessed");
  const note = reasons.find(({ code }) => code === "no_blood_map");
  return note ? t("overlay.no_map", { why: note.detail }) : t("overlay.not_kept");
}

/** The tint of plain density; hidden for pictures of PNG files, which have no Hounsfield units. @param {SliceCanvas} canvas */
function densityControls(canvas) {
  const tint = new DensityTint(canvas);
  const toggle = () => {
    tint.visible = !tint.visible;
    press(switcher, tint.visible);
    canvas.requestDraw();
    return true;
  };
  const switcher = press(button(t("overlay.density", BLOOD_HU), toggle), false);
  const controls = [switcher, element("span", { class: "hint" }, t("overlay.density_about"))];
  canvas.addLayer(tint);
  canvas.addEventListener("load", () => {
    for (const control of controls) control.hidden = !!canvas.image?.rgb;
  });
  return { tint, toggle, controls };
}

class HeatMapControls {
  #canvas;
  #map;
  #slices;
  #predicted;
  #layer;
  #toggle = button(t("overlay.toggle"), () => this.onKey("h"));
  #legend = element("ul", { class: "overlay-legend" });
  #status = element("p", { class: "hint", role: "status" });
  #count = element("span", { class: "hint" });

  /** @param {SliceCanvas} canvas @param {HeatMap} map @param {Report} report */
  constructor(canvas, map, { series, slices }) {
    this.#canvas = canvas;
    this.#map = map;
    this.#slices = slices;
    this.#predicted = (series ? [series] : slices).flatMap(({ predictions }) => predictedLabels(predictions ?? {}));
    const label = map.labels.find((name) => this.#predicted.includes(name)) ?? "all";
    this.#layer = new OverlayLayer(map, { visible: true, label, opacity: 0.5, threshold: DEFAULT_THRESHOLD, form: "both" });
    canvas.addLayer(this.#layer);
    canvas.addEventListener("slicechange", () => this.#describe());
    this.#change({});
  }

  get elements() {
    const { label, opacity, threshold, form } = this.#layer.options;
    const forms = [["both", t("overlay.form_both")], ["tint", t("overlay.form_tint")], ["contour", t("overlay.form_contour")]];
    return [
      element("p", { class: "hint" }, t("overlay.about", { threshold: formatNumber(DEFAULT_THRESHOLD, 1) })),
      row(this.#toggle, choice(t("overlay.label"), this.#labelNames(), label, (chosen) => this.#change({ label: chosen }))),
      row(
        choice(t("overlay.form"), forms, form, (chosen) => this.#change({ form: chosen })),
        slider(t("overlay.opacity"), opacity, (value) => this.#change({ opacity: value })),
        slider(t("overlay.threshold"), threshold, (value) => this.#change({ threshold: value })),
      ),
      this.#legend,
      this.#status,
      row(this.#count, button(t("overlay.previous"), () => this.onKey("B")), button(t("overlay.next"), () => this.onKey("b"))),
    ];
  }

  /** What a copy of the drawing must say: the highest value, the labels with their colours, the origin. */
  get captions() {
    const { visible, threshold } = this.#layer.options;
    const legend = this.#layer.labels.map((label) => ({ text: labelName(label), label }));
    return visible ? [{ text: this.#status.textContent ?? "" }, ...legend, { text: t("key_slice.heat_map", { threshold }) }] : [];
  }

  /** Switches the map, or goes to the next slice with blood. @param {string} key */
  onKey(key) {
    if (key === "h") this.#change({ visible: !this.#layer.options.visible });
    if (key === "b" || key === "B") this.#goToBlood(key === "b" ? 1 : -1);
    return "hbB".includes(key);
  }

  /** @param {Partial<OverlayOptions>} changed */
  #change(changed) {
    const options = Object.assign(this.#layer.options, changed);
    press(this.#toggle, options.visible);
    this.#legend.replaceChildren(...this.#layer.labels.map(legendItem));
    this.#count.textContent = t("overlay.slices", { count: this.#withBlood.length, threshold: formatNumber(options.threshold, 2) });
    this.#describe();
    this.#canvas.requestDraw();
  }

  #labelNames() {
    const named = (/** @type {string} */ label) => (this.#predicted.includes(label) ? t("overlay.predicted", { label: labelName(label) }) : labelName(label));
    return [["all", t("overlay.all")], ...this.#map.labels.map((label) => [label, named(label)])];
  }

  /** The label whose values are stated; with all labels the highest of them. */
  get #stated() {
    return this.#layer.options.label === "all" ? "any" : this.#layer.options.label;
  }

  get #withBlood() {
    return this.#map.slicesAbove(this.#slices, this.#stated, this.#layer.options.threshold);
  }

  /** @param {number} step 1 for the next, -1 for the previous slice */
  #goToBlood(step) {
    const target = this.#withBlood.filter((index) => step * (index - this.#canvas.index) > 0).at(step > 0 ? 0 : -1);
    if (target !== undefined) this.#canvas.go(target);
  }

  /** "Heat map of subdural: highest 0.83 on the patient's right, slice 12", and whether that is drawn. */
  #describe() {
    const [{ visible, label, threshold }, slice] = [this.#layer.options, this.#canvas.slice];
    const highest = this.#map.highest(slice, this.#stated);
    if (!visible || !highest) {
      this.#status.textContent = t(visible ? "overlay.no_place" : "overlay.hidden");
      return;
    }
    const side = patientSide(slice, highest.column);
    const values = { label: label === "all" ? t("overlay.all") : labelName(label), value: formatNumber(highest.value, 2, 2), number: slice.index + 1 };
    const where = t("overlay.highest", { ...values, side: side ? ` ${t(`overlay.side_${side}`)}` : "" });
    this.#status.textContent = highest.value > threshold ? `${where}.` : `${where}; ${t("overlay.below")}`;
  }
}

/** @param {string} label */
function legendItem(label) {
  const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.backgroundColor = colourOf(label);
  return element("li", {}, swatch, labelName(label));
}

/** @param {(Node | string)[]} controls */
const row = (...controls) => element("div", { class: "overlay-controls" }, ...controls);

/** @param {string} text @param {() => void} onClick */
function button(text, onClick) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", onClick);
  return made;
}

/** @param {HTMLElement} toggle @param {boolean} on */
function press(toggle, on) {
  toggle.setAttribute("aria-pressed", String(on));
  return toggle;
}

/** @param {string} text @param {string[][]} options value and text @param {string} value @param {(value: string) => void} onChange */
function choice(text, options, value, onChange) {
  const select = element("select", {}, ...options.map(([key, name]) => element("option", { value: key }, name)));
  select.value = value;
  select.addEventListener("change", () => onChange(select.value));
  return element("label", {}, text, select);
}

/** @param {string} text @param {number} value from 0 to 1 @param {(value: number) => void} onChange */
function slider(text, value, onChange) {
  const input = element("input", { type: "range", min: 0, max: 0.95, step: 0.05, value });
  const output = element("output", { class: "tabular" }, formatNumber(value, 2, 2));
  input.addEventListener("input", () => {
    output.textContent = formatNumber(Number(input.value), 2, 2);
    onChange(Number(input.value));
  });
  return element("label", {}, text, input, output);
}
