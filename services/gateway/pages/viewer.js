// The viewer of one slice: picture, position and probabilities.

import { byId, element, show } from "./dom.js";
import { labelTable } from "./report/labels.js";
import { paint, Pictures } from "./pictures.js";
import { SliceStrip } from "./slice_strip.js";
import { sliceTable } from "./report.js";
import { predictedLabels } from "./report/verdict.js";
import { formatProbability, joinLabels, pluralize } from "./text.js";

const STEPS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
const ENDS = { Home: 0, End: Infinity };
const READ_AHEAD = [1, -1, 2, -2];
const WHEEL_STEP_PX = 40;

export class Viewer {
  index = 0;
  windows = [];

  constructor() {
    this.canvas = byId("picture");
    this.strip = new SliceStrip((index) => this.go(index));
    byId("channels").addEventListener("change", () => this.drawPicture());
    byId("slice-slider").addEventListener("input", (event) => this.go(Number(event.target.value)));
    byId("previous").addEventListener("click", () => this.go(this.index - 1));
    byId("next").addEventListener("click", () => this.go(this.index + 1));
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
    this.canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
  }

  open(report) {
    this.report = report;
    this.pictures = new Pictures(report.slices);
    this.wheel = 0;
    byId("slice-slider").max = report.slices.length - 1;
    byId("key-slices").replaceChildren(...this.keyButtons(report.key_slices));
    show(byId("viewer"), report.slices.length > 0);
    show(byId("slice"), report.slices.length > 0);
    if (report.slices.length === 0) return;
    this.showPictures(report);
    this.strip.open(report);
    this.go(report.key_slices[0] ?? Math.floor((report.slices.length - 1) / 2));
  }

  // Reports of jobs have no pictures: a list of the slices replaces them.
  showPictures({ slices }) {
    const hasPictures = slices.some(({ image }) => image);
    for (const id of ["picture", "channels", "slice-window"]) show(byId(id), hasPictures);
    show(byId("slice-list"), !hasPictures);
    const rowTitle = ({ index, file }) => `${index + 1}: ${file.slice(file.lastIndexOf("/") + 1)}`;
    const list = hasPictures ? [] : [sliceTable("Slices", "Slice", slices, (index) => this.go(index), rowTitle)];
    byId("slice-list").replaceChildren(...list);
  }

  // Releases the pictures: those of a long series are large.
  close() {
    this.report = this.pictures = this.strip.report = undefined;
  }

  go(index) {
    if (!this.report) return;
    this.index = Math.min(Math.max(index, 0), this.report.slices.length - 1);
    this.describe(this.report.slices[this.index]);
    this.strip.mark(this.index);
    this.drawPicture();
  }

  describe(slice) {
    const { series, slices, thresholds } = this.report;
    const number = `${series ? "Slice" : "Picture"} ${slice.index + 1} of ${slices.length}`;
    byId("slice-number").textContent = number;
    byId("slice-position").textContent = series?.series_instance_uid ? `at ${slice.position_mm.toFixed(1)} mm` : "";
    byId("slice-slab").textContent = describeSlab(slice, slices);
    byId("slice-file").textContent = slice.file;
    byId("slice-title").textContent = number;
    const table = labelTable(number, slice, thresholds.slice);
    byId("slice-table").replaceChildren(table);
    this.updateControls(slice, `${number}, ${describePrediction(slice)}`);
  }

  updateControls({ index, file }, label) {
    byId("slice-slider").value = index;
    byId("slice-slider").setAttribute("aria-valuetext", label);
    this.canvas.setAttribute("aria-label", `${label}. ${file}. Use the arrow keys to change the slice.`);
    byId("previous").disabled = index === 0;
    byId("next").disabled = index === this.report.slices.length - 1;
    for (const button of byId("key-slices").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.index) === index));
    }
  }

  async drawPicture() {
    const { index, pictures } = this;
    const channel = document.querySelector("input[name=channel]:checked").value;
    byId("slice-window").textContent = this.describeWindow(channel);
    const pixels = await pictures.pixels(index);
    // The user may have moved on during decoding.
    if (index !== this.index || pictures !== this.pictures) return;
    this.canvas.classList.toggle("empty", pixels === null);
    if (pixels) paint(this.canvas, pixels, channel);
    for (const step of READ_AHEAD) pictures.pixels(index + step);
  }

  describeWindow(channel) {
    if (channel === "composite") return "red: bone, green: subdural, blue: soft tissue; the input of the network";
    const window = this.windows.find(({ name }) => name === channel);
    return window ? `centre ${window.center_hu}, width ${window.width_hu} HU` : "";
  }

  keyButtons(keys) {
    const buttons = keys.map((index) => {
      const button = element("button", { type: "button", "data-index": index }, `${index + 1}`);
      button.setAttribute("aria-label", `Key slice ${index + 1}`);
      button.addEventListener("click", () => this.go(index));
      return button;
    });
    return buttons.length > 0 ? [element("span", { class: "hint" }, "Key slices"), ...buttons] : [];
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = ENDS[event.key] ?? (event.key in STEPS ? this.index + STEPS[event.key] : undefined);
    if (target === undefined) return;
    event.preventDefault();
    this.go(target);
  }

  // Scrolling up moves towards the vertex. At both ends the page scrolls; with Ctrl the browser zooms.
  onWheel(event) {
    const target = this.index - Math.sign(event.deltaY);
    if (event.ctrlKey || target < 0 || target >= this.report.slices.length) return;
    event.preventDefault();
    this.wheel += event.deltaY;
    if (Math.abs(this.wheel) < WHEEL_STEP_PX) return;
    this.wheel = 0;
    this.go(target);
  }
}

// Thin slices are averaged into slabs: the slices of a slab share its picture and probabilities.
function describeSlab({ slab = null }, slices) {
  if (slab === null) return "";
  return `slab of ${pluralize(slices.filter((other) => other.slab === slab).length, "slice")}`;
}

function describePrediction({ probabilities, predictions }) {
  if (!probabilities) return "not assessed";
  const labels = predictedLabels(predictions);
  const prediction = labels.length > 0 ? `predicted: ${joinLabels(labels)}` : "nothing predicted";
  return `${prediction}; any ${formatProbability(probabilities.any)}`;
}
