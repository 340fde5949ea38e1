// Bar chart of a label's probability by slice, with the threshold as a line; a click goes to the slice.

import { element, svgElement } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { labelName } from "../text.js";

const GAP = 0.12;
const MIN_HEIGHT = 0.015; // a slice stays visible whose probability is 0

export class SliceStrip {
  element = element("div", { class: "strip-section" });
  #report;
  #onSlice;
  #select;
  #hint = element("span", { class: "hint" });
  #strip = element("div", { class: "strip" });
  #cursor = svgElement("rect", { class: "cursor", y: 0, width: 1, height: 1 });

  /** @param {any} report @param {(index: number) => void} onSlice */
  constructor(report, onSlice) {
    this.#report = report;
    this.#onSlice = onSlice;
    const labels = Object.keys(report.thresholds.slice);
    this.#select = element("select", {}, ...labels.map((label) => element("option", { value: label }, labelName(label))));
    this.#select.addEventListener("change", () => this.#draw());
    this.element.hidden = !report.slices[0]?.probabilities;
    const head = element("label", { class: "strip-head" }, t("viewer.strip"), " ", this.#select, " ", this.#hint);
    this.element.append(head, this.#strip);
    this.#followPointer();
    this.#draw();
  }

  /** @param {number} index */
  mark(index) {
    this.#cursor.setAttribute("x", String(index));
  }

  #draw() {
    const { slices, thresholds, key_slices: keys } = this.#report;
    const label = this.#select.value;
    const count = slices.filter((/** @type {any} */ { predictions }) => predictions?.[label]).length;
    const level = 1 - thresholds.slice[label];
    this.#hint.textContent = t("viewer.strip_positive", { count });
    const chart = svgElement(
      "svg",
      { viewBox: `0 0 ${slices.length} 1`, preserveAspectRatio: "none", role: "img", "aria-label": t("viewer.strip_label", { label: labelName(label), positive: this.#hint.textContent }) },
      ...slices.map((/** @type {any} */ slice) => column(slice, label)),
      svgElement("line", { class: "threshold", x1: 0, x2: slices.length, y1: level, y2: level }),
      this.#cursor,
    );
    this.#strip.replaceChildren(keyMarks(keys, slices.length), chart);
  }

  #followPointer() {
    const strip = this.#strip;
    const follow = (/** @type {PointerEvent} */ event) => {
      const { left, width } = strip.getBoundingClientRect();
      this.#onSlice(Math.floor(((event.clientX - left) / width) * this.#report.slices.length));
    };
    strip.addEventListener("pointerdown", (event) => {
      strip.setPointerCapture(event.pointerId);
      follow(event);
    });
    strip.addEventListener("pointermove", (event) => {
      if (strip.hasPointerCapture(event.pointerId)) follow(event);
    });
  }
}

/** @param {any} slice @param {string} label */
function column({ index, probabilities, predictions }, label) {
  const height = Math.max(probabilities?.[label] ?? 0, MIN_HEIGHT);
  return svgElement("rect", { class: predictions?.[label] ? "column present" : "column", x: index + GAP / 2, y: 1 - height, width: 1 - GAP, height });
}

/** @param {number[]} keys @param {number} count */
function keyMarks(keys, count) {
  const marks = keys.map((index) => {
    const mark = element("span", {}, "▾");
    mark.style.left = `${(100 * (index + 0.5)) / count}%`;
    return mark;
  });
  return element("div", { class: "key-marks", "aria-hidden": "true" }, ...marks);
}
