// A bar chart of the probability by slice, with the threshold as a line.

import { byId, svgElement, element, show } from "./dom.js";
import { pluralize, joinLabels } from "./text.js";

const GAP = 0.12;

export class SliceStrip {
  constructor(onSlice) {
    this.onSlice = onSlice;
    this.select = byId("strip-label");
    this.select.addEventListener("change", () => this.draw());
    this.followPointer(byId("strip"));
  }

  open(report) {
    this.report = report;
    show(byId("strip-section"), report.slices[0].probabilities !== null);
    const labels = Object.keys(report.thresholds.slice);
    this.select.replaceChildren(...labels.map((label) => element("option", { value: label }, joinLabels([label]))));
    this.draw();
  }

  draw() {
    const { slices, thresholds, key_slices: keys } = this.report;
    const threshold = thresholds.slice[this.select.value];
    const predicted = slices.filter(({ predictions }) => predictions?.[this.select.value]).length;
    this.cursor = svgElement("rect", { class: "cursor", y: 0, width: 1, height: 1 });
    const chart = svgElement(
      "svg",
      { viewBox: `0 0 ${slices.length} 1`, preserveAspectRatio: "none", role: "img" },
      ...slices.map((slice) => this.column(slice)),
      svgElement("line", { class: "threshold", x1: 0, x2: slices.length, y1: 1 - threshold, y2: 1 - threshold }),
      this.cursor,
    );
    byId("strip").replaceChildren(this.keyMarks(keys, slices.length), chart);
    const hint = `${pluralize(predicted, "slice")} positive`;
    byId("strip-hint").textContent = hint;
    chart.setAttribute("aria-label", `Probability of ${joinLabels([this.select.value])} by slice: ${hint}`);
    if (this.index !== undefined) this.mark(this.index);
  }

  column({ index, probabilities, predictions }) {
    const label = this.select.value;
    // A minimum height keeps a slice visible whose probability is 0.
    const height = Math.max(probabilities?.[label] ?? 0, 0.015);
    const name = predictions?.[label] ? "column present" : "column";
    return svgElement("rect", { class: name, x: index + GAP / 2, y: 1 - height, width: 1 - GAP, height });
  }

  keyMarks(keys, count) {
    const marks = keys.map((index) => {
      const mark = element("span", {}, "▾");
      mark.style.left = `${(100 * (index + 0.5)) / count}%`;
      return mark;
    });
    return element("div", { class: "key-marks", "aria-hidden": "true" }, ...marks);
  }

  mark(index) {
    this.index = index;
    this.cursor.setAttribute("x", index);
  }

  followPointer(box) {
    const follow = (event) => {
      const { left, width } = box.getBoundingClientRect();
      const index = Math.floor(((event.clientX - left) / width) * this.report.slices.length);
      this.onSlice(index);
    };
    box.addEventListener("pointerdown", (event) => {
      box.setPointerCapture(event.pointerId);
      follow(event);
    });
    box.addEventListener("pointermove", (event) => {
      if (box.hasPointerCapture(event.pointerId)) follow(event);
    });
  }
}
