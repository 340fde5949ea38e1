import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { SliceLoader, nearest } from "../../../services/gateway/pages/viewer/slice_loader.js";

const settle = () => new Promise((resolve) => setImmediate(resolve));
const image = (bytes) => ({ width: 1, height: 1, rgb: null, hounsfield: new Int16Array(bytes / 2) });

// A source whose requests end when the test says so.
function source() {
  const requests = new Map();
  const load = (index, signal) =>
    new Promise((resolve, reject) => {
      requests.set(index, { signal, resolve, reject });
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  const open = () => [...requests].filter(([, { signal }]) => !signal.aborted).map(([index]) => index);
  const answer = async (index, end = "resolve", value = image(8)) => {
    const { [end]: settleRequest } = requests.get(index);
    requests.delete(index);
    settleRequest(value);
    await settle();
  };
  return { load, open, answer };
}

test("slices come nearest first", () => {
  assert.deepEqual(nearest(3, 6), [3, 4, 2, 5, 1, 0]);
});

test("three requests run at a time, the current slice first", async () => {
  const { load, open, answer } = source();
  const loader = new SliceLoader(load, 10);
  loader.moveTo(4);
  assert.deepEqual(open(), [4, 5, 3]);
  await answer(4);
  assert.deepEqual(open(), [5, 3, 6]);
  assert.equal(loader.loaded, 1);
  assert.ok(loader.image(4));
});

test("requests for slices that are no longer near are aborted", async () => {
  const { load, open } = source();
  const loader = new SliceLoader(load, 100);
  loader.moveTo(4);
  loader.moveTo(50);
  await settle();
  assert.deepEqual(open(), [50, 51, 49]);
  assert.equal(loader.error(4), undefined);
  loader.close();
  assert.deepEqual(open(), []);
});

test("a slice that cannot be shown has its error, and the others follow", async () => {
  const { load, open, answer } = source();
  const loader = new SliceLoader(load, 5);
  const seen = [];
  loader.addEventListener("load", ({ detail }) => seen.push(detail));
  loader.moveTo(0);
  await answer(0, "reject", { status: 404, title: "This slice cannot be decoded" });
  assert.equal(loader.error(0).title, "This slice cannot be decoded");
  assert.deepEqual(open(), [1, 2, 3]);
  loader.moveTo(0);
  assert.ok(!open().includes(0));
  assert.deepEqual(seen, [0]);
  loader.close();
});

test("a slice that cannot be sent now is asked for again", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { load, open, answer } = source();
  const loader = new SliceLoader(load, 1);
  loader.moveTo(0);
  await answer(0, "reject", { status: 503, retryAfterSeconds: 10 });
  assert.deepEqual(open(), []);
  mock.timers.tick(9000);
  assert.deepEqual(open(), []);
  mock.timers.tick(1000);
  assert.deepEqual(open(), [0]);
  await answer(0);
  assert.ok(loader.image(0));
  assert.equal(loader.error(0), undefined);
  mock.timers.reset();
});

test("the cache keeps the nearest slices within its bytes", async () => {
  const { load, open, answer } = source();
  const loader = new SliceLoader(load, 10);
  loader.moveTo(0);
  const large = image(40 * 1024 ** 2); // three fit
  for (const index of [0, 1, 2]) await answer(index, "resolve", large);
  assert.deepEqual([loader.loaded, loader.capacity, open()], [3, 3, []]);
  loader.moveTo(5);
  await answer(5, "resolve", large);
  assert.deepEqual([loader.image(0), loader.loaded], [undefined, 3]);
  assert.ok(loader.image(5));
  loader.close();
});
