// The controls of the overlays: the network's heat map, and the tint of plain density.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { request } from "../request.js";
import { predictedLabels } from "../report/verdict.js";
import { formatNumber, labelName } from "../text.js";
import { BLOOD_HU, DensityTint } from "./density_tint.js";
import { downloadKeySlice } from "./key_slice_download.js";
import { HeatMap, patientSide } from "./heat_map.js";
import { DEFAULT_THRESHOLD, LABEL_COLOURS, OverlayLayer } from "./overlay_layer.js";

/** @typedef {import("../types.js").Report} Report */
/** @typedef {import("./overlay_layer.js").OverlayOptions} OverlayOptions */
/** @typedef {import("./slice_canvas.js").SliceCanvas} SliceCanvas */
/** `onKey` acts on a key and says whether it did. @typedef {HTMLElement & { onKey(event: KeyboardEvent): boolean }} OverlayPanel */

/** How the map is drawn: value and text. */
const FORMS = [["both", t("overlay.form_both")], ["tint", t("overlay.form_tint")], ["contour", t("overlay.form_contour")]];

/** @param {SliceCanvas} canvas @param {string} job @param {number} number of the series @param {Report} report @returns {OverlayPanel} */
export function createOverlayPanel(canvas, job, number, report) {
  const density = new DensityControls(canvas);
  /** @type {HeatMapControls | undefined} */
  let heatMap;
  const captions = () => [...(heatMap?.captions ?? []), ...density.captions];
  const download = button(t("key_slice.download"), () => downloadKeySlice(canvas, job, number, captions()));
  const panel = element("section", { class: "overlay-panel", "aria-label": t("overlay.title") }, density.element, download);
  loadMap(job, number, report).then(
    (map) => {
      heatMap = new HeatMapControls(canvas, map, report);
      panel.prepend(...heatMap.elements);
    },
    (error) => panel.prepend(whyNoMap(report, error)),
  );
  return Object.assign(panel, { onKey: (/** @type {KeyboardEvent} */ { key }) => density.onKey(key) || (heatMap?.onKey(key) ?? false) });
}

/** The tint of plain density; hidden for pictures of PNG files, which have no Hounsfield units. */
class DensityControls {
  /** @type {SliceCanvas} */
  #canvas;
  /** @type {DensityTint} */
  #tint;
  #toggle = button(t("overlay.density", BLOOD_HU), () => this.#change());
  element = element("div", { class: "overlay-controls" }, this.#toggle, element("span", { class: "hint" }, t("overlay.density_about")));

  /** @param {SliceCanvas} canvas */
  constructor(canvas) {
    [this.#canvas, this.#tint] = [canvas, new DensityTint(canvas)];
    canvas.addLayer(this.#tint);
    canvas.addEventListener("load", () => (this.element.hidden = !!canvas.image?.rgb));
    pressed(this.#toggle, false);
  }

  get captions() {
    return this.#tint.visible ? [{ text: t("key_slice.density", BLOOD_HU) }] : [];
  }

  /** @param {string} key */
  onKey(key) {
    if (key === "d") this.#change();
    return key === "d";
  }

  #change() {
    this.#tint.visible = !this.#tint.visible;
    pressed(this.#toggle, this.#tint.visible);
    this.#canvas.requestDraw();
  }
}

/** @param {string} job @param {number} number @param {Report} report */
async function loadMap(job, number, report) {
  if (!report.blood) throw new Error("no map");
  const response = await request(`v1/jobs/${job}/series/${number}/blood`);
  return new HeatMap(report.blood, await response.arrayBuffer());
}

/** @param {Report} report @param {any} error */
function whyNoMap({ blood, status, reasons }, error) {
  const note = reasons.find(({ code }) => code === "no_blood_map");
  const why = blood ? t("overlay.failed", { why: error.detail || error.message })
    : status === "not_assessed" ? t("overlay.not_assessed")
    : note ? t("overlay.no_map", { why: note.detail })
    : t("overlay.not_kept");
  return element("p", { class: "hint" }, why);
}

class HeatMapControls {
  /** @type {SliceCanvas} */
  #canvas;
  /** @type {HeatMap} */
  #map;
  /** @type {Report} */
  #report;
  /** @type {OverlayLayer} */
  #layer;
  #toggle = button(t("overlay.toggle"), () => this.#change({ visible: !this.#options.visible }));
  #legend = element("ul", { class: "overlay-legend" });
  #status = element("p", { class: "hint", role: "status" });
  #slices = element("span", { class: "hint" });

  /** @param {SliceCanvas} canvas @param {HeatMap} map @param {Report} report */
  constructor(canvas, map, report) {
    [this.#canvas, this.#map, this.#report] = [canvas, map, report];
    const label = predictedLabels(report.series?.predictions ?? {}).find((name) => map.labels.includes(name)) ?? "all";
    this.#layer = new OverlayLayer(map, { visible: true, label, opacity: 0.5, threshold: DEFAULT_THRESHOLD, tint: true, contour: true });
    canvas.addLayer(this.#layer);
    canvas.addEventListener("slicechange", () => this.#describe());
    this.#change({});
  }

  get #options() {
    return this.#layer.options;
  }

  get elements() {
    const { label, opacity, threshold } = this.#options;
    const steps = [[-1, "overlay.previous"], [1, "overlay.next"]].map(([step, text]) =>
      button(t(/** @type {any} */ (text)), () => this.#goToBlood(Number(step))));
    return [
      element("p", { class: "hint" }, t("overlay.about")),
      element("div", { class: "overlay-controls" }, this.#toggle, choice(t("overlay.label"), this.#labelNames(), label, (chosen) => this.#change({ label: chosen }))),
      element("div", { class: "overlay-controls" },
        choice(t("overlay.form"), FORMS, "both", (form) => this.#change({ tint: form !== "contour", contour: form !== "tint" })),
        slider(t("overlay.opacity"), opacity, (value) => this.#change({ opacity: value })),
        slider(t("overlay.threshold"), threshold, (value) => this.#change({ threshold: value }), t("overlay.threshold_hint")),
      ),
      this.#legend,
      this.#status,
      element("div", { class: "overlay-controls" }, this.#slices, ...steps),
    ];
  }

  /** What a copy of the drawing must say: the highest value, the labels with their colours, the origin. */
  get captions() {
    if (!this.#options.visible) return [];
    const legend = this.#layer.labels.map((label) => ({ text: labelName(label), label }));
    return [{ text: this.#status.textContent ?? "" }, ...legend, { text: t("key_slice.heat_map", { threshold: this.#options.threshold }) }];
  }

  /** @param {string} key */
  onKey(key) {
    if (key === "h") this.#change({ visible: !this.#options.visible });
    else if (key === "b" || key === "B") this.#goToBlood(key === "b" ? 1 : -1);
    else return false;
    return true;
  }

  /** @param {Partial<OverlayOptions>} changed */
  #change(changed) {
    Object.assign(this.#options, changed);
    pressed(this.#toggle, this.#options.visible);
    this.#legend.replaceChildren(...this.#layer.labels.map(legendItem));
    this.#slices.textContent = t("overlay.slices", { count: this.#withBlood().length, threshold: formatNumber(this.#options.threshold, 2) });
    this.#describe();
    this.#canvas.requestDraw();
  }

  #labelNames() {
    const predicted = predictedLabels(this.#report.series?.predictions ?? {});
    const names = this.#map.labels.map((label) => [label, predicted.includes(label) ? t("overlay.predicted", { label: labelName(label) }) : labelName(label)]);
    return [["all", t("overlay.all")], ...names];
  }

  /** The label whose values are shown; with all labels the highest of them. */
  get #shown() {
    return this.#options.label === "all" ? "any" : this.#options.label;
  }

  #withBlood() {
    return this.#map.slicesAbove(this.#report.slices, this.#shown, this.#options.threshold);
  }

  /** @param {number} step towards the head or the feet */
  #goToBlood(step) {
    const found = this.#withBlood().filter((index) => step * (index - this.#canvas.index) > 0);
    if (found.length > 0) this.#canvas.go(step > 0 ? found[0] : found[found.length - 1]);
  }

  #describe() {
    this.#status.textContent = describeHighest(this.#map, this.#report.slices[this.#canvas.index], this.#options);
  }
}

// "Heat map of subdural: highest 0.83 on the patient's right, slice 12", and whether that is drawn.
/** @param {HeatMap} map @param {any} slice @param {OverlayOptions} options */
export function describeHighest(map, slice, { visible, label, threshold }) {
  if (!visible) return t("overlay.hidden");
  const highest = map.highest(slice, label === "all" ? "any" : label);
  if (!highest) return t("overlay.no_place");
  const side = patientSide(slice, highest.column);
  const values = { label: label === "all" ? t("overlay.all") : labelName(label), value: formatNumber(highest.value, 2, 2), slice: slice.index + 1 };
  const where = t("overlay.highest", { ...values, side: side ? ` ${t(/** @type {any} */ (`overlay.side_${side}`))}` : "" });
  return highest.value > threshold ? `${where}.` : `${where}; ${t("overlay.below")}`;
}

/** @param {string} label */
function legendItem(label) {
  const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.backgroundColor = `rgb(${LABEL_COLOURS[label].join(" ")})`;
  return element("li", {}, swatch, labelName(label));
}

/** @param {string} text @param {() => void} onClick */
function button(text, onClick) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", onClick);
  return made;
}

/** @param {HTMLElement} toggle @param {boolean} on */
const pressed = (toggle, on) => toggle.setAttribute("aria-pressed", String(on));

/** @param {string} text @param {string[][]} options value and text @param {string} value @param {(value: string) => void} onChange */
function choice(text, options, value, onChange) {
  const select = element("select", {}, ...options.map(([key, name]) => element("option", { value: key }, name)));
  select.value = value;
  select.addEventListener("change", () => onChange(select.value));
  return element("label", {}, text, select);
}

/** @param {string} text @param {number} value from 0 to 1 @param {(value: number) => void} onChange */
function slider(text, value, onChange, hint = "") {
  const input = element("input", { type: "range", min: 0, max: 0.95, step: 0.05, title: hint });
  const output = element("output", { class: "tabular" });
  const update = () => (output.textContent = formatNumber(Number(input.value), 2, 2));
  input.value = String(value);
  input.addEventListener("input", () => onChange(Number(update())));
  update();
  return element("label", { title: hint }, text, input, output);
}
