// A grid of rows of equal height: only the shown ones are in the document (ARIA grid, roving focus).

import { element } from "../dom.js";

const MARGIN = 4; // rows that are kept before and behind the shown ones

/**
 * @template T
 * @typedef {object} Rows what the grid shows
 * @property {() => number} total
 * @property {(at: number) => T | undefined} entry undefined where it is not loaded
 * @property {(entry: T) => string} key
 * @property {(row: HTMLElement, entry: T | undefined) => void} fill
 */

/** Dispatches `need` where other rows are shown, and `open` at Enter and at a click. @template T */
export class Grid extends EventTarget {
  element;
  active = 0;
  #body = element("div", { role: "rowgroup", class: "grid-body" });
  #head;
  #rows;
  /** @type {Map<string, { node: HTMLElement, content: string }>} by key of the entry: a row keeps the focus where it moves */
  #nodes = new Map();
  #frame = 0;
  #height = 56; // of a row in px; the style sheet's

  /** @param {HTMLElement} head row of column titles @param {string} label @param {Rows<T>} rows */
  constructor(head, label, rows) {
    super();
    this.#rows = rows;
    this.#head = head;
    this.element = element("div", { role: "grid", class: "grid", "aria-label": label, "aria-multiselectable": "true" }, element("div", { role: "rowgroup", class: "grid-head" }, head), this.#body);
    this.element.addEventListener("scroll", () => this.#schedule());
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    this.#body.addEventListener("focusin", ({ target }) => this.#activate(/** @type {Element} */ (target)));
    this.#body.addEventListener("click", ({ target }) => isControl(target) || this.dispatchEvent(new Event("open")));
    new ResizeObserver(() => this.#schedule()).observe(this.element);
  }

  /** First and last shown place. @returns {[number, number]} */
  get shown() {
    const first = Math.floor(this.element.scrollTop / this.#height);
    const count = Math.ceil((this.element.clientHeight - this.#head.offsetHeight) / this.#height);
    return [first, Math.max(Math.min(first + count, this.#rows.total() - 1), first)];
  }

  get focused() {
    return this.#body.contains(document.activeElement);
  }

  /** Moves the focus, and scrolls where the row is not in view. @param {number} at */
  focus(at) {
    this.active = at;
    this.render();
    this.#activeNode?.focus({ preventScroll: true });
    this.#activeNode?.scrollIntoView({ block: "nearest" });
    this.dispatchEvent(new Event("need"));
  }

  /** Keeps the shown rows where they are, after some came before them. @param {number} places */
  shift(places) {
    this.#body.style.height = `${this.#rows.total() * this.#height}px`;
    this.element.scrollTop += places * this.#height;
    this.active = Math.max(0, this.active + places);
  }

  /** Draws the rows that are shown, and the active one. @param {boolean} anew also those whose entry is the same */
  render(anew = false) {
    if (anew) for (const drawn of this.#nodes.values()) drawn.content = "";
    const total = this.#rows.total();
    this.#height = parseFloat(getComputedStyle(this.element).getPropertyValue("--row-height")) || this.#height;
    const [first, last] = this.shown;
    const focused = this.focused;
    this.active = Math.max(0, Math.min(this.active, total - 1));
    this.element.setAttribute("aria-rowcount", String(total + 1));
    this.#body.style.height = `${total * this.#height}px`;
    const places = new Set([this.active]);
    for (let at = Math.max(first - MARGIN, 0); at <= last + MARGIN; at++) places.add(at);
    this.#place([...places].filter((at) => at < total).sort((one, other) => one - other));
    if (focused && !this.focused) this.#activeNode?.focus({ preventScroll: true });
  }

  /** @param {number[]} places */
  #place(places) {
    const old = this.#nodes;
    this.#nodes = new Map(places.map((at) => [this.#keyAt(at), this.#draw(at, old)]));
    for (const [key, { node }] of old) if (!this.#nodes.has(key)) node.remove();
    let next = this.#body.firstChild;
    for (const { node } of this.#nodes.values()) {
      if (node === next) next = node.nextSibling;
      else this.#body.insertBefore(node, next);
    }
  }

  /** @param {number} at @param {Map<string, { node: HTMLElement, content: string }>} old */
  #draw(at, old) {
    const entry = this.#rows.entry(at);
    const drawn = old.get(this.#keyAt(at)) ?? { node: element("div", { role: "row", class: "grid-row" }), content: "" };
    const content = JSON.stringify(entry) ?? "loading";
    if (drawn.content !== content) this.#rows.fill(drawn.node, entry);
    drawn.content = content;
    drawn.node.setAttribute("aria-rowindex", String(at + 2));
    drawn.node.tabIndex = at === this.active ? 0 : -1;
    drawn.node.style.transform = `translateY(${at * this.#height}px)`;
    return drawn;
  }

  /** @param {number} at */
  #keyAt(at) {
    const entry = this.#rows.entry(at);
    return entry ? this.#rows.key(entry) : `at ${at}`;
  }

  get #activeNode() {
    return this.#nodes.get(this.#keyAt(this.active))?.node;
  }

  /** @param {Element} target */
  #activate(target) {
    const at = Number(target.closest("[aria-rowindex]")?.getAttribute("aria-rowindex")) - 2;
    if (at === this.active) return;
    this.active = at;
    this.render();
  }

  #schedule() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      this.render();
      this.dispatchEvent(new Event("need"));
    });
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.focused) return;
    const { active, shown } = this;
    const page = Math.max(shown[1] - shown[0] - 1, 1);
    const [up, down, last] = [active - 1, active + 1, this.#rows.total() - 1];
    const moves = { ArrowDown: down, j: down, ArrowUp: up, k: up, PageDown: active + page, PageUp: active - page, Home: 0, End: last };
    if (event.key in moves) this.focus(moves[/** @type {"j"} */ (event.key)]);
    else if (event.key === "Enter" && !isControl(event.target)) this.dispatchEvent(new Event("open"));
    else return;
    event.preventDefault();
  }
}

/** @param {EventTarget | null} target */
const isControl = (target) => target instanceof Element && target.closest("a, button, input") !== null;
