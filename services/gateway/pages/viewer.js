// One slice at a time: its picture in one window, its place, and its probabilities.

import { byId, element, show } from "./dom.js";
import { labelTable, notAssessed } from "./labels.js";
import { paint, Pictures } from "./pictures.js";
import { Strip } from "./slice_strip.js";
import { sliceTable } from "./report.js";
import { predictedLabels } from "./verdict.js";
import { counted, listed, probability } from "./text.js";

const STEPS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
const ENDS = { Home: 0, End: Infinity };
const READ_AHEAD = [1, -1, 2, -2];
const WHEEL_STEP_PX = 40;

export class Viewer {
  index = 0;
  windows = [];

  constructor() {
    this.canvas = byId("picture");
    this.strip = new Strip((index) => this.go(index));
    byId("channels").addEventListener("change", () => this.look());
    byId("scrub").addEventListener("input", (event) => this.go(Number(event.target.value)));
    byId("previous").addEventListener("click", () => this.go(this.index - 1));
    byId("next").addEventListener("click", () => this.go(this.index + 1));
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
    this.canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
  }

  open(report) {
    this.report = report;
    this.pictures = new Pictures(report.slices);
    this.wheel = 0;
    byId("scrub").max = report.slices.length - 1;
    byId("keys").replaceChildren(...this.keyButtons(report.key_slices));
    show(byId("viewer"), report.slices.length > 0);
    show(byId("slice"), report.slices.length > 0);
    if (report.slices.length === 0) return;
    this.openPictures(report);
    this.strip.open(report);
    this.go(report.key_slices[0] ?? Math.floor((report.slices.length - 1) / 2));
  }

  // Reports of jobs have no pictures: a list of the slices stands in their place.
  openPictures({ slices }) {
    const pictured = slices.some(({ image }) => image);
    for (const id of ["picture", "channels", "slice-window"]) show(byId(id), pictured);
    show(byId("slice-list"), !pictured);
    const name = ({ index, file }) => `${index + 1}: ${file.slice(file.lastIndexOf("/") + 1)}`;
    const list = pictured ? [] : [sliceTable("Slices", "Slice", slices, (index) => this.go(index), name)];
    byId("slice-list").replaceChildren(...list);
  }

  // The pictures of a long series are large; nothing holds on to them longer than they are shown.
  close() {
    this.report = this.pictures = this.strip.report = undefined;
  }

  go(index) {
    if (!this.report) return;
    this.index = Math.min(Math.max(index, 0), this.report.slices.length - 1);
    this.describe(this.report.slices[this.index]);
    this.strip.mark(this.index);
    this.look();
  }

  describe(slice) {
    const { series, slices, thresholds } = this.report;
    const number = `${series ? "Slice" : "Picture"} ${slice.index + 1} of ${slices.length}`;
    byId("slice-number").textContent = number;
    byId("slice-position").textContent = series?.series_instance_uid ? `at ${slice.position_mm.toFixed(1)} mm` : "";
    byId("slice-slab").textContent = slabWords(slice, slices);
    byId("slice-file").textContent = slice.file;
    byId("slice-title").textContent = number;
    const table = slice.probabilities ? labelTable(number, slice, thresholds.slice) : notAssessed();
    byId("slice-table").replaceChildren(table);
    this.mark(slice, `${number}, ${outcome(slice)}`);
  }

  mark({ index, file }, words) {
    byId("scrub").value = index;
    byId("scrub").setAttribute("aria-valuetext", words);
    this.canvas.setAttribute("aria-label", `${words}. ${file}. Arrow keys go through the slices.`);
    byId("previous").disabled = index === 0;
    byId("next").disabled = index === this.report.slices.length - 1;
    for (const button of byId("keys").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.index) === index));
    }
  }

  async look() {
    const { index, pictures } = this;
    const channel = document.querySelector("input[name=channel]:checked").value;
    byId("slice-window").textContent = this.windowWords(channel);
    const pixels = await pictures.pixels(index);
    // Someone may have gone on while this one was decoded.
    if (index !== this.index || pictures !== this.pictures) return;
    this.canvas.classList.toggle("empty", pixels === null);
    if (pixels) paint(this.canvas, pixels, channel);
    for (const step of READ_AHEAD) pictures.pixels(index + step);
  }

  windowWords(channel) {
    if (channel === "composite") return "red: bone, green: subdural, blue: soft tissue; as the network sees it";
    const found = this.windows.find(({ name }) => name === channel);
    return found ? `centre ${found.center_hu}, width ${found.width_hu} HU` : "";
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
    const to = ENDS[event.key] ?? (event.key in STEPS ? this.index + STEPS[event.key] : undefined);
    if (to === undefined) return;
    event.preventDefault();
    this.go(to);
  }

  // Up is towards the head. At either end the page scrolls on; with Ctrl the browser zooms.
  onWheel(event) {
    const to = this.index - Math.sign(event.deltaY);
    if (event.ctrlKey || to < 0 || to >= this.report.slices.length) return;
    event.preventDefault();
    this.wheel += event.deltaY;
    if (Math.abs(this.wheel) < WHEEL_STEP_PX) return;
    this.wheel = 0;
    this.go(to);
  }
}

// Thin slices are averaged into slabs: the slices of one share its picture and its scores.
function slabWords({ slab = null }, slices) {
  if (slab === null) return "";
  return `slab of ${counted(slices.filter((other) => other.slab === slab).length, "slice")}`;
}

function outcome({ probabilities, predictions }) {
  if (!probabilities) return "not assessed";
  const labels = predictedLabels(predictions);
  const words = labels.length > 0 ? `predicted: ${listed(labels)}` : "nothing predicted";
  return `${words}; any ${probability(probabilities.any)}`;
}
