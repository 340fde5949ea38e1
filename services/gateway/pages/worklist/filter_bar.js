// The filters of the worklist as a form, and its counts as buttons.

import { button, element } from "../dom.js";
import { language, t } from "../i18n/i18n.js";
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
      select("status", [["", t("filter.all_statuses")], ...STATUSES.map((status) => [status, text(`status.${status}`)])]),
      select("label", [["", t("filter.all_labels")], ...LABELS.map((label) => [label, labelName(label)])]),
      element("label", { class: "check" }, element("input", { type: "checkbox", name: "urgent", value: "true" }), t("filter.urgent")),
      labelled("from", element("input", { type: "date", name: "from" })),
      labelled("to", element("input", { type: "date", name: "to" })),
      labelled("sort", select("sort", SORTS.map((sort) => [sort === "received" ? "" : sort, sortName(sort)]))),
      button(t("filter.reset"), () => onChange({ job: this.#filters.job }), { class: "link-button" }),
    );
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", ({ target }) => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#read(), target === this.search ? TYPING_MS : 0);
    });
    const details = element("details", {}, element("summary", {}, t("filter.title")), this.#form);
    details.open = matchMedia("(min-width: 64rem)").matches;
    this.element = element("div", { class: "filter-bar" }, this.#counts, details);
  }

  close() {
    clearTimeout(this.#timer);
  }

  /** @param {Query} filters */
  show(filters) {
    this.#filters = filters;
    for (const control of /** @type {Iterable<any>} */ (this.#form.elements)) {
      if (control.type === "checkbox") control.checked = filters[control.name] === "true";
      else if (control.name && control.value.trim() !== filters[control.name]) control.value = filters[control.name] ?? "";
    }
  }

  /** @param {Record<string, any>} page counts without the quick filter */
  showCounts(page) {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.count;
    const buttons = Object.entries(QUICK_FILTERS).map(([name, quick]) => {
      const attributes = { "aria-pressed": String(name === quickFilter(this.#filters)), "data-count": name };
      const count = element("strong", { class: "tabular" }, page[name].toLocaleString(language));
      const node = button(count, () => this.#onChange({ ...this.#filters, status: undefined, present: undefined, ...quick }), attributes);
      node.append(` ${text(`filter.${name}`)}`);
      return node;
    });
    this.#counts.replaceChildren(...buttons);
    buttons.find((node) => node.dataset.count === focused)?.focus();
  }

  #read() {
    const given = Object.fromEntries([...new FormData(this.#form)].map(([name, value]) => [name, String(value).trim() || undefined]));
    const { present, patient, job, sort, order, status } = this.#filters;
    const chosen = given.status ?? (status?.includes(",") ? status : undefined); // a quick filter names several
    const kept = { present: given.status ? undefined : present, patient, job, order: given.sort === sort ? order : undefined };
    this.#onChange({ ...kept, urgent: undefined, ...given, status: chosen });
  }
}

/** @param {string} key */
const text = (key) => t(/** @type {any} */ (key));

/** @param {string} sort */
const sortName = (sort) => (sort.startsWith("probability") ? t("list.sort_label", { label: labelName(sort.split(":")[1]) }) : text(`list.column_${sort}`));

/** @param {string} name @param {string[][]} options */
const select = (name, options) => element("select", { name, "aria-label": text(`filter.${name}`) }, ...options.map(([value, title]) => element("option", { value }, title)));

/** @param {string} name @param {HTMLElement} control */
const labelled = (name, control) => element("label", { class: `filter-${name}` }, element("span", { class: "hint" }, text(`filter.${name}`)), control);
