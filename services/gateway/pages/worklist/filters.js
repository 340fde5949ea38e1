// Filters and order of the worklist: members of the address, and the query of `GET /v1/worklist`. Pure.

/** @typedef {Record<string, string | undefined>} Query */

export const LABELS = ["any", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural"];
export const STATUSES = ["queued", "running", "assessed", "not_assessed", "failed", "cancelled"];
const FILTERS = ["status", "present", "label", "text", "urgent", "from", "to", "patient", "job"];
const ASCENDING = ["description", "status"]; // other orders begin with the newest, the urgent, the highest

/** Quick filters by their name in the header's counts. @type {Record<string, Query>} */
export const QUICK_FILTERS = {
  total: {},
  positive: { present: "true" },
  not_assessed: { status: "not_assessed,failed" },
  waiting: { status: "queued,running" },
};

/** The known members of an address. @param {Query} parameters @returns {Query} */
export const parseFilters = (parameters) =>
  Object.fromEntries([...FILTERS, "sort", "order"].filter((name) => parameters[name]).map((name) => [name, parameters[name]]));

/** The query of the API: days are the reader's, the API's times are UTC. @param {Query} filters */
export function apiQuery({ from, to, ...filters }) {
  const given = Object.entries({ ...filters, from: midnight(from, 0), to: midnight(to, 1) }).filter(([, value]) => value);
  return new URLSearchParams(/** @type {[string, string][]} */ (given));
}

/** @param {string | undefined} day @param {number} later days */
function midnight(day, later) {
  const date = new Date(`${day}T00:00`);
  if (Number.isNaN(date.getTime())) return undefined;
  date.setDate(date.getDate() + later);
  return date.toISOString();
}

/** @param {Query} filters */
export const isFiltered = (filters) => FILTERS.some((name) => name !== "job" && filters[name]);

/** The name of the quick filter that stands in the filters. @param {Query} filters */
export const quickFilter = ({ status, present }) =>
  Object.keys(QUICK_FILTERS).find((name) => QUICK_FILTERS[name].status === status && QUICK_FILTERS[name].present === present);

/** The order after a click on a column's title; a second click reverses it. @param {Query} filters @param {string} column */
export function sortedBy(filters, column) {
  const same = (filters.sort ?? "received") === column;
  const order = same && !filters.order ? (ASCENDING.includes(column) ? "desc" : "asc") : undefined;
  return { ...filters, sort: column === "received" ? undefined : column, order };
}

/** @param {Query} filters @param {string} column */
export function ariaSort({ sort = "received", order }, column) {
  if (sort !== column) return "none";
  return (order ?? (ASCENDING.includes(sort) ? "asc" : "desc")) === "asc" ? "ascending" : "descending";
}
