import assert from "node:assert/strict";
import { test } from "node:test";
import { apiQuery, ariaSort, isFiltered, parseFilters, quickFilter, sortedBy } from "../../../services/gateway/pages/worklist/filters.js";

test("an address gives the filters that the page knows", () => {
  assert.deepEqual(parseFilters({ status: "running", slice: "3", text: "" }), { status: "running" });
});

test("days of the reader are times of the API, and the last day is included", () => {
  const query = apiQuery({ from: "2026-01-31", to: "2026-01-31", text: undefined, job: "01a" });
  assert.equal(Date.parse(query.get("to")) - Date.parse(query.get("from")), 24 * 3600 * 1000);
  assert.equal(new Date(query.get("from")).getHours(), 0);
  assert.deepEqual([...query.keys()], ["job", "from", "to"]);
});

test("a day that is none is no filter", () => {
  assert.equal(apiQuery({ from: "2026-13-01" }).has("from"), false);
});

test("a click on a title sorts by it, another one reverses the order", () => {
  const once = sortedBy({ text: "a" }, "description");
  assert.deepEqual(once, { text: "a", sort: "description", order: undefined });
  assert.equal(ariaSort(once, "description"), "ascending");
  const twice = sortedBy(once, "description");
  assert.equal(ariaSort(twice, "description"), "descending");
  assert.equal(ariaSort(sortedBy(twice, "description"), "description"), "ascending");
  assert.equal(ariaSort({}, "received"), "descending");
  assert.equal(ariaSort(sortedBy({}, "received"), "received"), "ascending");
});

test("the counts are quick filters", () => {
  assert.equal(quickFilter({}), "total");
  assert.equal(quickFilter({ status: "not_assessed,failed", text: "a" }), "not_assessed");
  assert.equal(quickFilter({ status: "failed" }), undefined);
  assert.equal(isFiltered({ job: "01a", sort: "received" }), false);
  assert.equal(isFiltered({ present: "true" }), true);
});
