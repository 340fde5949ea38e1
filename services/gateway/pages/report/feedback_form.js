// Readers' opinions on the predictions of a series and of the current slice: agree, disagree or uncertain, by label.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { getJson } from "../request.js";
import { labelName } from "../text.js";
import { sliceTitle } from "./labels.js";

/** @typedef {import("../types.js").FeedbackList} FeedbackList */
/** @typedef {{ label: string, slice: number | null }} About `slice` is null for the series */

const OPINIONS = /** @type {const} */ ({ agree: "✓", disagree: "✗", uncertain: "?" });

export class FeedbackForm {
  #address;
  #report;
  #index = 0;
  /** @type {FeedbackList} */
  #given = { reader: "", feedback: [] };
  #groups = [opinionGroup(), opinionGroup()];
  #problem = element("p", { class: "problem-note", role: "alert" });
  element = element("section", { class: "feedback" }, element("h3", {}, t("feedback.title")), element("p", { class: "hint" }, t("feedback.hint")), this.#problem);

  /** @param {string} job @param {number} number @param {import("../types.js").Report} report */
  constructor(job, number, report) {
    this.#address = `v1/jobs/${job}/series/${number}/feedback`;
    this.#report = report;
    this.element.append(...this.#groups.map(({ details }) => details));
    this.element.hidden = report.status !== "assessed";
    if (!this.element.hidden) this.#load();
  }

  /** Shows the opinions on another slice. @param {number} index */
  show(index) {
    this.#index = index;
    const { series, slices } = this.#report;
    this.#fill(0, t("feedback.series"), series?.predictions, null);
    this.#fill(1, slices[index] ? sliceTitle(slices[index], this.#report) : "", slices[index]?.predictions, index);
  }

  /** Reads all opinions; a PUT answers with them, too. @param {RequestInit & { headers?: Record<string, string> }} [change] */
  async #load(change) {
    try {
      this.#given = await getJson(this.#address, change);
      this.#problem.textContent = "";
    } catch (error) {
      const { title, detail } = /** @type {any} */ (error);
      this.#problem.textContent = t("feedback.problem", { title: title ?? String(error), detail: detail ?? "" });
    }
    const focused = document.activeElement?.getAttribute("data-opinion");
    this.show(this.#index);
    if (focused) /** @type {HTMLElement | null} */ (this.element.querySelector(`[data-opinion="${focused}"]`))?.focus();
  }

  /** @param {number} group @param {string} title @param {Record<string, boolean> | null | undefined} predictions @param {number | null} slice */
  #fill(group, title, predictions, slice) {
    const { details, summary, list } = this.#groups[group];
    details.hidden = !predictions;
    summary.textContent = title;
    list.replaceChildren(...Object.entries(predictions ?? {}).map(([label, present]) => this.#row({ label, slice }, present)));
  }

  /** @param {About} about @param {boolean} present */
  #row(about, present) {
    const { reader, feedback } = this.#given;
    const given = feedback.filter(({ label, slice }) => label === about.label && (slice ?? null) === about.slice);
    const own = given.find((one) => one.reader === reader)?.opinion;
    const said = given.flatMap((one) => (one.reader === reader || !one.opinion ? [] : [`${one.reader}: ${t(`feedback.${one.opinion}`)}`])).join(", ");
    const words = t(present ? "feedback.present" : "feedback.absent", { label: labelName(about.label) });
    const buttons = /** @type {(keyof typeof OPINIONS)[]} */ (Object.keys(OPINIONS)).map((opinion) => this.#button(about, opinion, own === opinion));
    const others = said ? [element("span", { class: "hint path others" }, t("feedback.others", { said }))] : [];
    return element("li", {}, element("span", {}, words), element("span", { role: "group", "aria-label": words }, ...buttons), ...others);
  }

  /** @param {About} about @param {keyof typeof OPINIONS} opinion @param {boolean} pressed */
  #button(about, opinion, pressed) {
    const name = t(`feedback.${opinion}`);
    const attributes = { type: "button", title: name, "aria-label": name, "aria-pressed": pressed, "data-opinion": `${about.slice}-${about.label}-${opinion}` };
    const button = element("button", attributes, OPINIONS[opinion]);
    const body = JSON.stringify({ ...about, opinion: pressed ? null : opinion });
    button.addEventListener("click", () => this.#load({ method: "PUT", body, headers: { "content-type": "application/json" } }));
    return button;
  }
}

function opinionGroup() {
  const [summary, list] = [element("summary"), element("ul", { class: "opinions" })];
  return { details: element("details", { open: "" }, summary, list), summary, list };
}
