// Downloads of a report: JSON, CSV of this series, and a sheet to print or to save as PDF by the browser.

import { element, saveFile } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { request } from "../request.js";
import { printReport } from "./print_sheet.js";

/** @typedef {import("../types.js").Report} Report */

/** @param {string} job @param {number} number @param {Report} report */
export function createDownloads(job, number, report) {
  const problem = element("p", { class: "problem-note", role: "alert" });
  const attempt = async (/** @type {() => unknown} */ run) => {
    try {
      problem.textContent = "";
      await run();
    } catch (error) {
      const { title, detail } = /** @type {any} */ (error);
      problem.textContent = [title ?? String(error), detail].filter(Boolean).join(": ");
    }
  };
  const button = (/** @type {string} */ name, /** @type {() => unknown} */ run) => {
    const made = element("button", { type: "button" }, name);
    made.addEventListener("click", () => attempt(run));
    return made;
  };
  const buttons = [
    button(t("downloads.json"), () => saveFile(new Blob([JSON.stringify(report, null, 2)], { type: "application/json" }), `report-${report.id}.json`)),
    button(t("downloads.csv"), () => saveCsv(job, number, report)),
    button(t("downloads.print"), () => printReport(job, number, report)),
  ];
  const hint = element("p", { class: "hint" }, t("downloads.hint"));
  return element("section", { class: "downloads" }, element("h3", {}, t("downloads.title")), element("p", { class: "row" }, ...buttons), problem, hint);
}

/** @param {string} job @param {number} number @param {Report} report */
async function saveCsv(job, number, report) {
  const response = await request(`v1/jobs/${job}/reports?after=${number - 1}&limit=1`, { headers: { accept: "text/csv" } });
  saveFile(await response.blob(), `report-${report.id}.csv`);
}
