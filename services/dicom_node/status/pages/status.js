// Reads /v1/status every few seconds and shows it. The key is in memory only. All texts are inserted as text, never as markup.

const PERIOD_MS = 5000;
const STEPS = ["received", "complete", "submitted", "reported", "built", "sent", "committed", "passed_over", "superseded"];

/** @typedef {string | HTMLElement} Cell */
/** A row of a table that the node states. @typedef {Record<string, any>} Row */

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} name @param {Record<string, string>} attributes @param {Cell[]} children */
function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** @param {number} seconds */
function age(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

/** @param {number} count */
function bytes(count) {
  return count < 1e9 ? `${(count / 1e6).toFixed(0)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

/** @param {string} id @param {string[]} columns @param {Cell[][]} rows @param {string} none text without rows */
function table(id, columns, rows, none) {
  if (rows.length === 0) {
    byId(id).replaceChildren(element("p", { class: "hint" }, none));
    return;
  }
  const head = element("tr", {}, ...columns.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell))));
  byId(id).replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

/** @param {string} id @param {[string, Cell][]} pairs */
function terms(id, pairs) {
  const pair = (/** @type {[string, Cell]} */ [term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value));
  byId(id).replaceChildren(...pairs.map(pair));
}

/** @param {string} text */
const bad = (text) => element("span", { class: "bad" }, text);
/** @param {string | null} text */
const code = (text) => (text === null ? "" : element("code", {}, text));

/** @param {Row} status answer of GET /v1/status */
function show(status) {
  byId("address").textContent = `AE title ${status.ae_title}, port ${status.dicom_port}; version ${status.version}`;
  const unsent = status.oldest_unsent_s > 0 ? age(status.oldest_unsent_s) : "none";
  terms("state", [
    ["DICOM port", status.listening ? "listening" : bad("closed")],
    ["Associations", String(status.associations)],
    ["Gateway", status.gateway.ready ? "ready" : bad(status.gateway.detail ?? "not ready")],
    ["Oldest unsent result", unsent],
    ["Received instances on disk", `${bytes(status.stored_bytes)} of ${bytes(status.quota_bytes)}`],
    ...failedKinds(status.failed_kinds),
  ]);
  const steps = [...STEPS, ...Object.keys(status.series).filter((step) => !STEPS.includes(step))];
  terms("series", steps.map((step) => [step.replace("_", " "), String(status.series[step] ?? 0)]));
  showTables(status);
}

/** @param {Record<string, number>} kinds @returns {[string, Cell][]} */
function failedKinds(kinds) {
  return Object.entries(kinds).map(([kind, count]) => ["Could not be built", bad(`${count} × ${kind}`)]);
}

/** @param {Row} status */
function showTables({ destinations, dead_letters: dead, oldest, passed_over: passed }) {
  table(
    "destinations",
    ["Name", "Pending", "Sent, not confirmed", "Delivered", "Dead", "Oldest", "Last failure"],
    destinations.map((/** @type {Row} */ one) => [
      one.configured ? one.name : bad(`${one.name} (not configured)`),
      String(one.pending),
      String(one.sent),
      String(one.delivered),
      one.dead > 0 ? bad(String(one.dead)) : "0",
      one.oldest_s > 0 ? age(one.oldest_s) : "",
      code(one.code),
    ]),
    "No destination is set: results are stored, and sent nowhere. ICH_NODE_PEERS_FILE names destinations.",
  );
  table(
    "dead",
    ["Series", "Destination", "Objects", "Failure", "Try again with"],
    dead.map((/** @type {Row} */ one) => [
      one.series,
      one.destination ?? "",
      one.destination ? String(one.objects) : "",
      code(one.code),
      code(one.resend),
    ]),
    "None.",
  );
  table(
    "oldest",
    ["Number", "Series", "Step", "Since last instance", "Failed attempts", "Last failure"],
    oldest.map((/** @type {Row} */ one) => [
      String(one.id),
      one.series,
      one.step,
      age(one.age_s),
      String(one.attempts),
      code(one.code),
    ]),
    "None.",
  );
  table(
    "passed",
    ["Number", "Series", "Age", "Reasons"],
    passed.map((/** @type {Row} */ one) => [String(one.id), one.series, age(one.age_s), one.reasons.join("; ")]),
    "None.",
  );
}

/** @param {string} text */
function showProblem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = text === "";
}

/** @type {string | undefined} */
let key;

async function refresh() {
  try {
    /** @type {Record<string, string>} */
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    const response = await fetch("v1/status", { cache: "no-store", headers });
    byId("key").hidden = response.status !== 401;
    if (response.ok) show(await response.json());
    showProblem(response.ok || response.status === 401 ? "" : `The node answers ${response.status}.`);
  } catch {
    showProblem("The node does not answer. This page tries again.");
  }
}

byId("key").onsubmit = (event) => {
  const input = /** @type {HTMLInputElement} */ (byId("key-input"));
  event.preventDefault();
  key = input.value.trim();
  input.value = "";
  refresh();
};

await refresh();
setInterval(refresh, PERIOD_MS);
