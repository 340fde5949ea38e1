// The filters of the worklist as a form, and its counts as buttons.

import { element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { labelName } from "../text.js";
import { LABELS, QUICK_FILTERS, quickFilter, STATUSES } from "./filters.js";

const TYPING_MS = 250;
const SORTS = ["received", "acquired", "urgent", "status", "description", ...LABELS.map((label) => `probability:${label}`)];

/** @typedef {import("./filters.js").Query} Query */

/** Calls `onChange(filters)` with the filters that the reader has set. */
export class FilterBar {
  element;
  search = element("input", { type: "search", name: "text", "aria-label": t("filter.text"), placeholder: t("filter.text") });
  #counts = element("div", { class: "row counts", role: "group", "aria-label": t("filter.counts") });
  #form;
  /** @type {Query} */
  #filters = {};
  #timer = 0;
  #onChange;

  /** @param {(filters: Query) => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    this.#form = element(
      "form",
      { class: "row filters", role: "search", "aria-label": t("filter.title") },
      this.search,
      select("status", [["", t("filter.all_statuses")], ...STATUSES.map((status) => [status, t(/** @type {any} */ (`status.${status}`))])]),
      select("label", [["", t("filter.all_labels")], ...LABELS.map((label) => [label, labelName(label)])]),
      element("label", { class: "check" }, element("input", { type: "checkbox", name: "urgent", value: "true" }), t("filter.urgent")),
      labelled("from", element("input", { type: "date", name: "from" })),
      labelled("to", element("input", { type: "date", name: "to" })),
      labelled("sort", select("sort", SORTS.map((sort) => [sort === "received" ? "" : sort, sortName(sort)]))),
      resetButton(() => onChange({ job: this.#filters.job })),
    );
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", ({ target }) => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#read(), target === this.search ? TYPING_MS : 0);
    });
    this.element = element("div", { class: "filter-bar" }, this.#counts, this.#form);
  }

  close() {
    clearTimeout(this.#timer);
  }

  /** @param {Query} filters */
  show(filters) {
    this.#filters = filters;
    for (const control of /** @type {Iterable<any>} */ (this.#form.elements)) {
      if (control === document.activeElement && control === this.search) continue; // the reader is typing
      if (control.type === "checkbox") control.checked = filters[control.name] === "true";
      else if (control.name) control.value = filters[control.name] ?? "";
    }
  }

  /** @param {Record<string, any>} page counts without the quick filter */
  showCounts(page) {
    const chosen = quickFilter(this.#filters);
    const buttons = Object.entries(QUICK_FILTERS).map(([name, quick]) => {
      const button = element("button", { type: "button", "aria-pressed": String(name === chosen), "data-count": name });
      button.append(element("strong", { class: "tabular" }, page[name].toLocaleString(document.documentElement.lang)), ` ${t(/** @type {any} */ (`filter.${name}`))}`);
      button.addEventListener("click", () => this.#onChange({ ...this.#filters, status: undefined, present: undefined, ...quick }));
      return button;
    });
    const at = [...this.#counts.children].indexOf(/** @type {Element} */ (document.activeElement));
    this.#counts.replaceChildren(...buttons);
    buttons[at]?.focus();
  }

  #read() {
    const given = Object.fromEntries([...new FormData(this.#form)].map(([name, value]) => [name, String(value).trim() || undefined]));
    const { present, patient, job, sort, order, status } = this.#filters;
    const chosen = given.status ?? (status?.includes(",") ? status : undefined); // a quick filter names several
    this.#onChange({ present: given.status ? undefined : present, patient, job, ...given, status: chosen, order: given.sort === sort ? order : undefined });
  }
}

/** @param {string} sort */
const sortName = (sort) =>
  sort.startsWith("probability") ? t("list.sort_label", { label: labelName(sort.split(":")[1]) }) : t(/** @type {any} */ (`list.column_${sort}`));

/** @param {string} name @param {string[][]} options */
function select(name, options) {
  const nodes = options.map(([value, text]) => element("option", { value }, text));
  return element("select", { name, "aria-label": t(/** @type {any} */ (`filter.${name}`)) }, ...nodes);
}

/** @param {string} name @param {HTMLElement} control */
const labelled = (name, control) => element("label", { class: `filter-${name}` }, element("span", { class: "hint" }, t(/** @type {any} */ (`filter.${name}`))), control);

/** @param {() => void} onClick */
function resetButton(onClick) {
  const button = element("button", { type: "button", class: "link-button" }, t("filter.reset"));
  button.addEventListener("click", onClick);
  return button;
}
