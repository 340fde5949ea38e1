// The rows of the worklist by their place: pages of the API, fetched where they are shown, and a bounded number kept.

import { getJson } from "../request.js";

const PAGE = 50;
const KEPT = 12; // 600 rows

/**
 * @typedef {import("../types.js").WorklistEntry} Entry
 * @typedef {import("../types.js").WorklistPage} Page
 */

/** @param {Entry} entry */
export const keyOf = ({ job, number }) => `${job}/${number ?? ""}`;

export class WorklistPages {
  /** @type {Page | undefined} the latest answer: total and counts */
  latest;
  /** @type {Map<number, Entry[]>} */
  #pages = new Map();
  #query;
  #signal;

  /** @param {URLSearchParams} query @param {AbortSignal} signal */
  constructor(query, signal) {
    this.#query = query;
    this.#signal = signal;
  }

  get total() {
    return this.latest?.total ?? 0;
  }

  /** @param {number} at */
  entry(at) {
    return this.#pages.get(Math.floor(at / PAGE))?.[at % PAGE];
  }

  /** Fetches the pages of rows that are missing. @param {number} first @param {number} last */
  async load(first, last) {
    const missing = pageNumbers(first, last).filter((number) => !this.#pages.has(number));
    await this.#fetch(missing, this.#pages);
    for (const number of this.#pages.keys()) {
      if (this.#pages.size <= KEPT) return;
      if (!missing.includes(number)) this.#pages.delete(number);
    }
  }

  /**
   * Fetches the shown rows anew, and forgets the others.
   * @param {number} first @param {number} last
   * @param {{ key: string, at: number } | undefined} anchor a row that the reader looks at
   * @returns {Promise<number>} places by which the anchor has moved down; 0 where it is gone
   */
  async refresh(first, last, anchor) {
    const before = this.total;
    const pages = new Map();
    await this.#fetch(pageNumbers(first, last), pages);
    if (anchor && find(pages, anchor.key) === undefined) {
      const moved = this.total - before;
      const wanted = pageNumbers(Math.max(first + moved, 0), Math.max(last + moved, 0));
      await this.#fetch(wanted.filter((number) => !pages.has(number)), pages);
    }
    this.#pages = pages;
    const at = anchor && find(pages, anchor.key);
    return at === undefined ? 0 : at - /** @type {{ at: number }} */ (anchor).at;
  }

  /** Changes a known entry until the next refresh. @param {string} key @param {Partial<Entry>} changes */
  change(key, changes) {
    for (const entries of this.#pages.values()) for (const entry of entries) if (keyOf(entry) === key) Object.assign(entry, changes);
  }

  /** @param {number[]} numbers @param {Map<number, Entry[]>} pages */
  async #fetch(numbers, pages) {
    await Promise.all(
      numbers.map(async (number) => {
        const query = new URLSearchParams([...this.#query, ["limit", String(PAGE)], ["offset", String(number * PAGE)]]);
        const page = await getJson(`v1/worklist?${query}`, { signal: this.#signal });
        pages.set(number, page.entries);
        this.latest = page;
      }),
    );
  }
}

/** @param {number} first @param {number} last row, included */
function pageNumbers(first, last) {
  const begin = Math.floor(first / PAGE);
  return Array.from({ length: Math.max(Math.floor(last / PAGE) - begin + 1, 1) }, (_, at) => begin + at);
}

/** @param {Map<number, Entry[]>} pages @param {string} key */
function find(pages, key) {
  for (const [number, entries] of pages) {
    const at = entries.findIndex((entry) => keyOf(entry) === key);
    if (at >= 0) return number * PAGE + at;
  }
  return undefined;
}
