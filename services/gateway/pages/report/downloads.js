// Downloads of a report: JSON, CSV of this series, and a sheet to print or to save as PDF by the browser.

import { announce, element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { request } from "../request.js";
import { printReport } from "./print_sheet.js";

/** @param {string} job @param {number} number @param {any} report */
export function createDownloads(job, number, report) {
  const problem = element("p", { class: "problem-note", role: "alert" });
  const actions = /** @type {const} */ ([
    ["downloads.json", () => saveJson(report)],
    ["downloads.csv", () => saveCsv(job, number, report)],
    ["downloads.print", () => printReport(job, number, report)],
  ]);
  const buttons = actions.map(([key, run]) => {
    const button = element("button", { type: "button" }, t(key));
    button.addEventListener("click", () => attempt(button, run, problem));
    return button;
  });
  const hint = element("p", { class: "hint" }, t("downloads.hint"));
  return element("section", { class: "downloads" }, element("h3", {}, t("downloads.title")), element("p", { class: "row" }, ...buttons), problem, hint);
}

/** @param {HTMLButtonElement} button @param {() => unknown} run @param {HTMLElement} problem */
async function attempt(button, run, problem) {
  button.disabled = true;
  try {
    await run();
    problem.textContent = "";
    announce(button.textContent ?? "");
  } catch (error) {
    const { title, detail } = /** @type {any} */ (error);
    problem.textContent = [title ?? String(error), detail].filter(Boolean).join(": ");
  }
  button.disabled = false;
  button.focus();
}

/** Without the pictures, as the API returns it by default. @param {any} report */
function saveJson(report) {
  const content = { ...report, slices: report.slices.map((/** @type {any} */ slice) => ({ ...slice, image: null })) };
  saveFile(new Blob([JSON.stringify(content, null, 2)], { type: "application/json" }), `report-${report.id}.json`);
}

/** @param {string} job @param {number} number @param {any} report */
async function saveCsv(job, number, report) {
  const response = await request(`v1/jobs/${job}/reports?after=${number - 1}&limit=1`, { headers: { accept: "text/csv" } });
  saveFile(await response.blob(), `report-${report.id}.csv`);
}

/** @param {Blob} blob @param {string} name */
export function saveFile(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
