import assert from "node:assert/strict";
import { test } from "node:test";

import { CompareLink, initialOffset, nearestSlice } from "../../../services/gateway/pages/viewer/compare_link.js";

const slicesAt = (...positions) => positions.map((position_mm, index) => ({ index, position_mm }));
const report = (study, ...positions) => ({ series: { study_instance_uid: study, series_instance_uid: "2.25.1" }, slices: slicesAt(...positions) });

// The parts of a slice canvas that are linked; its zoom is relative to a canvas of 500 pixels.
class FakeCanvas extends EventTarget {
  index = 0;
  zoom = 1;
  flipped = false;
  channel = 2;
  centre = { x: 0.5, y: 0.5 };
  window = { centre: 40, width: 80 };

  constructor(report, size) {
    super();
    Object.assign(this, { report, size });
  }

  get slice() {
    return this.report.slices[this.index];
  }

  get sliceToCanvas() {
    return { a: (this.flipped ? -1 : 1) * (500 / this.size.columns) * this.zoom };
  }

  go(index) {
    this.index = index;
    this.dispatchEvent(new Event("slicechange"));
  }

  setWindow(centre, width) {
    this.window = { centre, width };
    this.#change();
  }

  zoomBy(factor) {
    this.zoom *= factor;
    this.#change();
  }

  requestDraw() {}

  #change() {
    this.dispatchEvent(new Event("viewchange"));
  }
}

const sized = (columns, rows, columnMm, rowMm) => ({ columns, rows, columnMm, rowMm });
const THICK = sized(512, 512, 0.5, 0.5);
const THIN = sized(256, 256, 0.5, 0.5);

test("the nearest slice has the nearest position", () => {
  assert.equal(nearestSlice(slicesAt(0, 5, 10), 6), 1);
  assert.equal(nearestSlice(slicesAt(0, 5, 10), 99), 2);
});

test("positions agree within a study; else the highest slices meet", () => {
  assert.equal(initialOffset(report("1", 0, 10), report("1", 0, 12)), 0);
  assert.equal(initialOffset(report("1", 0, 10), report("2", -100, -20)), -30);
});

test("scrolling follows both ways, and from a new offset", () => {
  const [thick, thin] = [new FakeCanvas(report("1", 0, 5, 10), THICK), new FakeCanvas(report("1", ...Array(11).keys()), THIN)];
  const link = new CompareLink([thick, thin]);
  thick.go(1);
  assert.equal(thin.index, 5);
  thin.go(9);
  assert.equal(thick.index, 2);
  link.scrolls = false;
  thin.go(3);
  assert.equal(thick.index, 2);
  link.linkHere();
  link.scrolls = true;
  thick.go(1);
  assert.equal(link.offset, -7);
  assert.equal(thin.index, 0);
});

test("the view is the same in mm", () => {
  const [one, other] = [new FakeCanvas(report("1", 0), THICK), new FakeCanvas(report("1", 0), THIN)];
  new CompareLink([one, other]);
  one.centre = { x: 0.75, y: 0.5 };
  one.zoomBy(2);
  assert.deepEqual([other.zoom, other.centre], [1, { x: 1, y: 0.5 }]);
  other.setWindow(75, 215);
  assert.deepEqual(one.window, { centre: 75, width: 215 });
});

test("pictures without positions do not scroll together, and zoom by the same factor", () => {
  const [one, other] = [new FakeCanvas(report("1", 0, 5), THICK), new FakeCanvas({ series: null, slices: slicesAt(0, 1) }, sized(512, 512, null, null))];
  new CompareLink([one, other]);
  one.go(1);
  one.zoomBy(3);
  assert.deepEqual([other.index, other.zoom], [0, 3]);
});
