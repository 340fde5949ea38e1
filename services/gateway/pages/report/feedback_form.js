// Readers' opinions on the predictions of a series and of the current slice: agree, disagree or uncertain, by label.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { getJson, request } from "../request.js";
import { labelName } from "../text.js";

/** @typedef {import("../types.js").Feedback} Feedback */

const OPINIONS = /** @type {const} */ (["agree", "disagree", "uncertain"]);
const SYMBOLS = { agree: "✓", disagree: "✗", uncertain: "?" };

export class FeedbackForm {
  element = element("section", { class: "feedback" });
  #address;
  #report;
  #index = 0;
  #reader = "";
  /** @type {Feedback[]} */
  #given = [];
  #series = opinionGroup();
  #slice = opinionGroup();
  #problem = element("p", { class: "problem-note", role: "alert" });

  /** @param {string} job @param {number} number @param {any} report */
  constructor(job, number, report) {
    this.#address = `v1/jobs/${job}/series/${number}/feedback`;
    this.#report = report;
    this.element.hidden = report.status !== "assessed";
    const hint = element("p", { class: "hint" }, t("feedback.hint"));
    this.element.append(element("h3", {}, t("feedback.title")), hint, this.#problem, this.#series.details, this.#slice.details);
    if (!this.element.hidden) this.#send(() => getJson(this.#address));
  }

  /** Shows the opinions on another slice. @param {number} index */
  show(index) {
    this.#index = index;
    this.#draw();
  }

  /** @param {() => Promise<any>} load resolves with a FeedbackList */
  async #send(load) {
    try {
      const { reader, feedback } = await load();
      [this.#reader, this.#given] = [reader, feedback];
      this.#problem.textContent = "";
    } catch (error) {
      const { title, detail } = /** @type {any} */ (error);
      this.#problem.textContent = t("feedback.problem", { title: title ?? String(error), detail: detail ?? "" });
    }
    this.#draw();
  }

  #draw() {
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.opinion : undefined;
    const { series, slices } = this.#report;
    this.#fill(this.#series, t("feedback.series"), series, null);
    this.#fill(this.#slice, t("report.slice", { number: this.#index + 1, total: slices.length }), slices[this.#index], this.#index);
    if (focused) /** @type {HTMLElement | null} */ (this.element.querySelector(`[data-opinion="${focused}"]`))?.focus();
  }

  /** @param {ReturnType<typeof opinionGroup>} group @param {string} title @param {any} level @param {number | null} slice `index`, or null for the series */
  #fill({ details, summary, list }, title, level, slice) {
    const predictions = level?.predictions ?? {};
    details.hidden = !level?.predictions;
    summary.textContent = title;
    list.replaceChildren(...Object.keys(predictions).map((label) => this.#row(label, predictions[label], slice)));
  }

  /** @param {string} label @param {boolean} present @param {number | null} slice */
  #row(label, present, slice) {
    const about = this.#given.filter((one) => one.label === label && one.slice === slice);
    const own = about.find(({ reader }) => reader === this.#reader)?.opinion;
    const others = about.filter(({ reader }) => reader !== this.#reader);
    const words = t(present ? "feedback.present" : "feedback.absent", { label: labelName(label) });
    const buttons = OPINIONS.map((opinion) => this.#button(opinion, own === opinion, { label, slice }));
    const said = others.map(({ reader, opinion }) => `${reader}: ${t(`feedback.${opinion ?? "uncertain"}`)}`).join(", ");
    const notes = said ? [element("span", { class: "hint path others" }, t("feedback.others", { said }))] : [];
    return element("li", {}, element("span", {}, words), element("span", { role: "group", "aria-label": words }, ...buttons), ...notes);
  }

  /** @param {typeof OPINIONS[number]} opinion @param {boolean} pressed @param {{ label: string, slice: number | null }} about */
  #button(opinion, pressed, about) {
    const place = `${about.slice ?? "series"}-${about.label}-${opinion}`;
    const names = { "aria-label": t(`feedback.${opinion}`), title: t(`feedback.${opinion}`), "data-opinion": place };
    const button = element("button", { type: "button", "aria-pressed": String(pressed), ...names }, SYMBOLS[opinion]);
    const body = JSON.stringify({ ...about, opinion: pressed ? null : opinion });
    const headers = { "content-type": "application/json" };
    button.addEventListener("click", () => this.#send(async () => {
      await request(this.#address, { method: "PUT", body, headers });
      return getJson(this.#address);
    }));
    return button;
  }
}

function opinionGroup() {
  const [summary, list] = [element("summary"), element("ul", { class: "opinions" })];
  return { details: element("details", { open: "" }, summary, list), summary, list };
}
