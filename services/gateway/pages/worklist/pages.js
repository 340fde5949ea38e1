// The rows of the worklist by their place: pages of the API, fetched where they are shown, and a bounded number kept.

import { getJson, request } from "../request.js";

const PAGE = 50;
const KEPT = 12; // 600 rows

/**
 * @typedef {import("../types.js").WorklistEntry} Entry
 * @typedef {import("../types.js").WorklistPage} Page
 * @typedef {{ key: string, at: number }} Anchor a row that the reader looks at
 */

/** @param {Entry} entry */
export const keyOf = ({ job, number }) => `${job}/${number ?? ""}`;

/** The other priority, for the whole job. @param {string} job @param {string | undefined} priority @returns {Promise<import("../types.js").JobDocument>} */
export async function togglePriority(job, priority) {
  const body = JSON.stringify({ priority: priority === "urgent" ? "routine" : "urgent" });
  return (await request(`v1/jobs/${job}`, { method: "PATCH", body, headers: { "content-type": "application/json" } })).json();
}

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
    await this.#fetch(first, last, this.#pages);
    for (const number of numbersOf(first, last)) {
      const entries = this.#pages.get(number) ?? [];
      this.#pages.delete(number);
      this.#pages.set(number, entries); // last used, last forgotten
    }
    for (const number of [...this.#pages.keys()].slice(0, -KEPT)) this.#pages.delete(number);
  }

  /**
   * Fetches the shown rows anew, and forgets the others.
   * @param {number} first @param {number} last @param {Anchor | undefined} anchor
   * @returns {Promise<number>} places by which the anchor has moved down; 0 where it is gone
   */
  async refresh(first, last, anchor) {
    const before = this.total;
    /** @type {Map<number, Entry[]>} */
    const pages = new Map();
    await this.#fetch(first, last, pages);
    const moved = this.total - before;
    if (anchor && find(pages, anchor.key) < 0) await this.#fetch(Math.max(first + moved, 0), Math.max(last + moved, 0), pages);
    this.#pages = pages;
    const at = anchor ? find(pages, anchor.key) : -1;
    return at < 0 || !anchor ? 0 : at - anchor.at;
  }

  /** @param {number} first @param {number} last row, included @param {Map<number, Entry[]>} pages */
  async #fetch(first, last, pages) {
    const read = async (/** @type {number} */ number) => {
      const query = new URLSearchParams([...this.#query, ["limit", String(PAGE)], ["offset", String(number * PAGE)]]);
      this.latest = await getJson(`v1/worklist?${query}`, { signal: this.#signal });
      pages.set(number, this.latest?.entries ?? []);
    };
    await Promise.all(numbersOf(first, last).filter((number) => !pages.has(number)).map(read));
  }
}

/** Numbers of the pages with these rows. @param {number} first @param {number} last */
const numbersOf = (first, last) => [...Array(Math.floor(last / PAGE) + 1).keys()].slice(Math.floor(first / PAGE));

/** @param {Map<number, Entry[]>} pages @param {string} key @returns {number} -1 where no page holds it */
function find(pages, key) {
  for (const [number, entries] of pages) {
    const at = entries.findIndex((entry) => keyOf(entry) === key);
    if (at >= 0) return number * PAGE + at;
  }
  return -1;
}
