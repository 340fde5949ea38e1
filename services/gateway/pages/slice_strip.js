// The whole series at a glance: a column for each slice, as high as its probability, with the threshold as a line.

import { byId, drawing, element, show } from "./dom.js";
import { counted, listed } from "./text.js";

const GAP = 0.12;

export class Strip {
  constructor(go) {
    this.go = go;
    this.select = byId("strip-label");
    this.select.addEventListener("change", () => this.draw());
    this.followPointer(byId("strip"));
  }

  open(report) {
    this.report = report;
    show(byId("across"), report.slices[0].probabilities !== null);
    const labels = Object.keys(report.thresholds.slice);
    this.select.replaceChildren(...labels.map((label) => element("option", { value: label }, listed([label]))));
    this.draw();
  }

  draw() {
    const { slices, thresholds, key_slices: keys } = this.report;
    const limit = thresholds.slice[this.select.value];
    const predicted = slices.filter(({ predictions }) => predictions?.[this.select.value]).length;
    this.cursor = drawing("rect", { class: "cursor", y: 0, width: 1, height: 1 });
    const chart = drawing(
      "svg",
      { viewBox: `0 0 ${slices.length} 1`, preserveAspectRatio: "none", role: "img" },
      ...slices.map((slice) => this.column(slice)),
      drawing("line", { class: "limit", x1: 0, x2: slices.length, y1: 1 - limit, y2: 1 - limit }),
      this.cursor,
    );
    byId("strip").replaceChildren(this.keyMarks(keys, slices.length), chart);
    const hint = `${counted(predicted, "slice")} predicted`;
    byId("strip-hint").textContent = hint;
    chart.setAttribute("aria-label", `Probability of ${listed([this.select.value])} by slice: ${hint}`);
    if (this.index !== undefined) this.mark(this.index);
  }

  column({ index, probabilities, predictions }) {
    const label = this.select.value;
    // A hair's height at least, so that a slice with no probability to speak of is seen to be there.
    const height = Math.max(probabilities?.[label] ?? 0, 0.015);
    const name = predictions?.[label] ? "column present" : "column";
    return drawing("rect", { class: name, x: index + GAP / 2, y: 1 - height, width: 1 - GAP, height });
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
      this.go(index);
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
