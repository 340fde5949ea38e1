// The worklist: all series that the reader may see, live, by keyboard and by mouse; with a job's id, those of one job.

import { announce, button, element, show } from "../dom.js";
import { problemText } from "../errors.js";
import { t } from "../i18n/i18n.js";
import { lastWorklist, replaceAddress, routeAddress } from "../router.js";
import { getJson } from "../request.js";
import { createUploadPanel } from "../upload/upload_panel.js";
import { openKeyboardHelp } from "../viewer/keyboard_help.js";
import { FilterBar } from "./filter_bar.js";
import { apiQuery, isFiltered, parseFilters, quickFilter, sortedBy } from "./filters.js";
import { Grid } from "./grid.js";
import { createJobPanel } from "./job_panel.js";
import { watchWorklist } from "./live.js";
import { keyOf, togglePriority, WorklistPages } from "./pages.js";
import { entryAddress, fillRow, titleCells } from "./row.js";

const REFRESH_MS = 1000; // at most one refresh in this time
const KEYS = /** @type {const} */ ([
  ["j k ↓ ↑", "list.key_move"],
  ["Enter", "list.key_open"],
  ["x", "list.key_mark"],
  ["c", "list.key_compare"],
  ["u", "list.urgent_hint"],
  ["p", "list.same_patient_hint"],
  ["/", "list.key_search"],
  ["?", "list.key_help"],
]);
let singleKeys = true; // the reader may switch them off (WCAG 2.1.4)

/**
 * @typedef {import("../types.js").WorklistEntry} Entry
 * @typedef {import("./filters.js").Query} Query
 */

/** The row that the reader left for another view. @type {{ address: string, at: number, scrollTop: number } | undefined} */
let left;

/** @type {import("../router.js").OpenView} */
export const openWorklistView = (container, parameters) => new WorklistView(container, parameters);

class WorklistView {
  #stop = new AbortController();
  #bar = new FilterBar((filters) => this.#apply(filters));
  #titles = element("div", { role: "row", class: "grid-row", "aria-rowindex": "1" });
  #grid;
  /** @type {WorklistPages} */
  #pages;
  /** @type {Query} */
  #filters;
  /** @type {Map<string, Entry>} */
  #marked = new Map();
  #address = "";
  #added = 0; // rows above that came while the reader looked at others
  /** @type {Promise<void> | undefined} */
  #running;
  #failed = false;
  #stale = false;
  #again = false;
  #timer = 0;
  #note = button("", () => this.#showNew(), { class: "primary new-rows", hidden: "" });
  #compare = element("p", { class: "row compare-bar", hidden: "" });
  #hint = element("p", { class: "hint" });
  #state = element("span", { class: "hint live", role: "status" });
  #problem = element("p", { class: "problem-note", role: "alert" });
  #empty = element("section", { class: "card empty", hidden: "" });

  /** @param {HTMLElement} container @param {Query} parameters */
  constructor(container, parameters) {
    this.#filters = parseFilters(parameters);
    this.#pages = new WorklistPages(apiQuery(this.#filters), this.#stop.signal);
    this.#grid = new Grid(this.#titles, t("list.title"), {
      total: () => this.#pages.total,
      entry: (at) => this.#pages.entry(at),
      key: keyOf,
      fill: (row, entry) => fillRow(row, entry, this.#actions(entry)),
    });
    const panel = this.#filters.job ? createJobPanel(this.#filters.job, this.#stop.signal) : createUploadPanel();
    show(this.#grid.element, false);
    const heading = element("h2", { class: "visually-hidden" }, t("list.title"));
    const help = button(t("list.keys"), openHelp, { class: "link-button" });
    const line = element("div", { class: "row list-bar" }, this.#hint, this.#note, this.#compare, this.#state, help);
    container.append(panel, heading, this.#bar.element, line, this.#problem, this.#empty, this.#grid.element);
    this.#listen();
    this.#apply(this.#filters, left?.address === (location.hash || "#/") ? left : undefined);
    watchWorklist((state) => this.#onLive(state), this.#stop.signal).catch((error) => this.#fail(error));
  }

  close() {
    left = { address: this.#address, at: this.#grid.active, scrollTop: this.#grid.element.scrollTop };
    this.#stop.abort();
    this.#bar.close();
    clearTimeout(this.#timer);
  }

  #listen() {
    const { signal } = this.#stop;
    this.#grid.addEventListener("need", () => this.#sync());
    this.#grid.addEventListener("open", () => this.#open());
    this.#grid.element.addEventListener("scroll", () => this.#grid.element.scrollTop === 0 && this.#setAdded(0));
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
  }

  /** @param {Query} filters @param {typeof left} place */
  async #apply(filters, place = undefined) {
    this.#filters = filters;
    const { job, ...query } = filters;
    this.#address = lastWorklist.address = routeAddress(job ? `/jobs/${job}` : "/", query);
    if (!place) replaceAddress(this.#address);
    this.#pages = new WorklistPages(apiQuery(filters), this.#stop.signal);
    this.#bar.show(filters);
    this.#drawTitles();
    this.#setAdded(0);
    this.#grid.active = place?.at ?? 0;
    this.#problem.textContent = "";
    if (!place) this.#grid.element.scrollTop = 0;
    await this.#sync();
    if (place) this.#grid.element.scrollTop = place.scrollTop;
    if (place) this.#grid.focus(place.at);
    else announce(t("list.count", { count: this.#pages.total }));
  }

  #drawTitles() {
    const at = [...this.#titles.querySelectorAll("button")].indexOf(/** @type {any} */ (document.activeElement));
    this.#titles.replaceChildren(...titleCells(this.#filters, (column) => this.#apply(sortedBy(this.#filters, column))));
    this.#titles.querySelectorAll("button")[at]?.focus();
  }

  /** Fetches and draws what is shown, one round at a time: a fast scroll fetches the first and the last place. */
  #sync() {
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run() {
    while (this.#again && !this.#stop.signal.aborted) {
      this.#again = false;
      const failed = await this.#round().catch((error) => this.#fail(error));
      if (!failed && this.#failed) this.#problem.textContent = "";
      this.#failed = failed ?? false;
    }
  }

  async #round() {
    const pages = this.#pages;
    const before = pages.latest;
    const [first, last] = this.#grid.shown;
    if (this.#stale) await this.#refresh(first, last);
    else await pages.load(first, last);
    if (pages !== this.#pages) return;
    show(this.#grid.element, pages.total > 0);
    show(this.#empty, pages.total === 0);
    this.#grid.render();
    if (pages.latest !== before) await this.#drawCounts();
  }

  /** Reads the shown rows again; those under the reader's hands stay where they are. @param {number} first @param {number} last */
  async #refresh(first, last) {
    this.#stale = false;
    const [grid, pages] = [this.#grid, this.#pages];
    const at = grid.focused && grid.active >= first && grid.active <= last ? grid.active : first;
    const entry = grid.focused || grid.element.scrollTop > 0 ? pages.entry(at) : undefined;
    const moved = await pages.refresh(first, last, entry && { key: keyOf(entry), at });
    if (pages !== this.#pages || moved === 0) return;
    grid.shift(moved);
    this.#setAdded(this.#added + moved);
    this.#again = true; // rows below the shown ones may be on another page
  }

  async #drawCounts() {
    const { latest } = this.#pages;
    if (!latest) return;
    const whole = { ...this.#filters, status: undefined, present: undefined };
    const quick = quickFilter(this.#filters) !== "total";
    const query = new URLSearchParams([...apiQuery(whole), ["limit", "1"]]);
    const counts = quick ? await getJson(`v1/worklist?${query}`, { signal: this.#stop.signal }) : latest;
    this.#bar.showCounts(counts);
    document.title = counts.positive > 0 ? `${t("list.positive", { count: counts.positive })} · ${t("app.title")}` : t("app.title");
    const { sort, patient } = this.#filters;
    const hints = [!latest.complete && t("list.incomplete"), sort?.startsWith("probability") && t("list.sorted_by_score"), patient && t("list.one_patient")];
    this.#hint.textContent = hints.filter(Boolean).join(" ");
    this.#empty.replaceChildren(...this.#emptyTexts());
  }

  #emptyTexts() {
    if (isFiltered(this.#filters)) return [element("p", {}, t("list.none_match"))];
    if (this.#filters.job) return [element("p", {}, t("list.none_in_job"))];
    return [element("h3", {}, t("list.empty")), element("p", {}, t("list.empty_hint")), element("p", { class: "hint" }, t("list.empty_sources"))];
  }

  /** @param {"changed" | "disconnected"} state */
  #onLive(state) {
    this.#state.textContent = t(state === "changed" ? "list.live" : "list.not_live");
    this.#state.dataset.state = state;
    if (state === "disconnected" || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#stale = true;
      this.#sync();
    }, REFRESH_MS);
  }

  /** @param {number} count */
  #setAdded(count) {
    this.#added = Math.max(count, 0);
    show(this.#note, this.#added > 0);
    if (this.#added > 0) this.#note.textContent = t("list.new_rows", { count: this.#added });
  }

  #showNew() {
    this.#grid.focus(0);
    this.#setAdded(0);
  }

  #open() {
    const entry = this.#pages.entry(this.#grid.active);
    if (entry) location.hash = entryAddress(entry);
  }

  /** @param {Entry | undefined} entry */
  #actions(entry) {
    const run = (/** @type {(entry: Entry) => void} */ action) => () => entry && action(entry);
    return {
      marked: entry !== undefined && this.#marked.has(keyOf(entry)),
      onMark: run((found) => this.#mark(found)),
      onUrgent: run((found) => this.#toggleUrgent(found)),
      onPatient: run(({ patient }) => patient && this.#apply({ patient })),
    };
  }

  /** At most two: a third takes the place of the first. @param {Entry} entry */
  #mark(entry) {
    const key = keyOf(entry);
    if (entry.number === null) return;
    if (!this.#marked.delete(key)) this.#marked.set(key, entry);
    if (this.#marked.size > 2) this.#marked.delete([...this.#marked.keys()][0]);
    const [one, other] = this.#marked.values();
    const href = other && routeAddress(`/compare/${one.job}/${one.number}/${other.job}/${other.number}`);
    this.#compare.replaceChildren(href ? element("a", { href, class: "button" }, t("list.compare")) : element("span", { class: "hint" }, t("list.mark_another")));
    show(this.#compare, one !== undefined);
    this.#grid.render(true);
    announce(t("list.marked", { count: this.#marked.size }));
  }

  /** @param {Entry} entry */
  async #toggleUrgent(entry) {
    this.#problem.textContent = "";
    try {
      const { priority } = await togglePriority(entry.job, entry.priority);
      announce(t(priority === "urgent" ? "list.urgent" : "list.routine"));
      this.#stale = true;
      await this.#sync();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const { target, key } = event;
    const typing = target instanceof Element && target.matches("input:not([type=checkbox]), select, textarea, dialog *");
    if (typing || !singleKeys || event.ctrlKey || event.altKey || event.metaKey) return;
    const entry = this.#grid.focused ? this.#pages.entry(this.#grid.active) : undefined;
    if (key === "/") this.#bar.search.focus();
    else if (key === "?") openHelp();
    else if (["j", "k"].includes(key) && target instanceof Element && target.matches("body, #view")) this.#grid.focus(this.#grid.active);
    else if (key === "c" && this.#marked.size === 2) /** @type {HTMLElement} */ (this.#compare.firstChild).click();
    else if (!entry) return;
    else if (key === "u") this.#toggleUrgent(entry);
    else if (key === "x") this.#mark(entry);
    else if (key === "p" && entry.patient) this.#apply({ patient: entry.patient });
    else return;
    event.preventDefault();
  }

  /** @param {any} error @returns {true} */
  #fail(error) {
    if (!this.#stop.signal.aborted) this.#problem.textContent = problemText(error);
    return true;
  }
}

function openHelp() {
  const box = element("input", { type: "checkbox" });
  box.checked = singleKeys;
  box.addEventListener("change", () => (singleKeys = box.checked));
  openKeyboardHelp(KEYS.map(([keys, text]) => [keys, t(text)]), element("label", { class: "check" }, box, t("list.single_keys")));
}
