// Sends files as a job: choose or drop, send, and see the series as soon as it is known. One panel for the page's life:
// an upload continues while the reader looks at a series.

import { announce, button, element, show } from "../dom.js";
import { RequestCancelled, RequestError } from "../errors.js";
import { t } from "../i18n/i18n.js";
import { servedModel } from "../model/served_model.js";
import { events } from "../request.js";
import { formatBytes, formatThreshold } from "../text.js";
import { onFilesDropped } from "./drag_and_drop.js";
import { problemSection } from "./problem.js";
import { FileSelection } from "./selection.js";
import { sendJob } from "./upload.js";

const MODEL_RETRY_MS = 5000;

/** @type {UploadPanel | undefined} */
let panel;

export function createUploadPanel() {
  panel ??= new UploadPanel();
  return panel.element;
}

class UploadPanel {
  #selection = new FileSelection(() => this.#onSelection());
  #point = element("select", { id: "operating-point", "aria-describedby": "operating-point-hint" });
  #pointHint = element("p", { class: "hint", id: "operating-point-hint" });
  #model = element("p", { class: "hint", id: "served-model" }, t("upload.loading_model"));
  #urgent = element("input", { type: "checkbox" });
  #send = button(t("upload.send"), () => this.#upload(), { class: "primary" });
  #activity = element("strong", { id: "upload-activity" });
  #amount = element("span", { class: "tabular" });
  #bar = element("progress", { max: "1", "aria-labelledby": "upload-activity" });
  #cancel = button(t("upload.cancel"), () => this.#call?.abort());
  #outcome = element("div", { class: "outcome" });
  #choose = element("fieldset", { class: "row" }, this.#selection.chooseFiles, this.#selection.chooseFolder, element("span", { class: "hint" }, t("upload.hint")));
  #options = element(
    "div",
    { class: "upload-options", hidden: "" },
    element("p", { class: "row" }, this.#selection.summary, button(t("upload.clear"), () => this.#selection.replace([]), { class: "link-button" })),
    element("p", { class: "row" }, element("label", { for: "operating-point" }, t("upload.operating_point")), this.#point, element("label", { class: "check" }, this.#urgent, t("upload.urgent")), this.#send),
    this.#pointHint,
    this.#selection.list,
  );
  #progress = element("div", { class: "upload-progress", hidden: "" }, element("p", { class: "row" }, this.#activity, this.#amount, this.#cancel), this.#bar);
  element = element("section", { class: "card upload", "aria-labelledby": "upload-title" }, element("h2", { id: "upload-title" }, t("upload.title")), this.#choose, this.#options, this.#progress, this.#outcome, this.#model);
  /** @type {AbortController | undefined} */
  #call;

  constructor() {
    onFilesDropped((entries) => this.#drop(entries), (detail) => this.#fail(new RequestError({ title: t("upload.not_opened"), detail, status: 400 })));
    this.#loadModel();
  }

  /** @param {import("./upload.js").Entry[]} entries */
  #drop(entries) {
    if (this.#call || entries.length === 0) return;
    if (!this.element.isConnected) location.hash = "#/";
    this.#selection.replace(entries);
  }

  #onSelection() {
    const chosen = this.#selection.entries.length > 0;
    show(this.#options, chosen);
    this.#outcome.replaceChildren();
    if (chosen) this.#send.focus();
  }

  async #upload() {
    const { entries, token, bytes } = this.#selection;
    this.#call = new AbortController();
    const { signal } = this.#call;
    this.#setBusy(true);
    this.#showSent(0, bytes);
    this.#cancel.focus();
    try {
      const options = { operatingPoint: this.#point.value, urgent: this.#urgent.checked, token };
      const onProgress = this.#showSent.bind(this);
      const job = await sendJob(entries, options, { onProgress, onSent: () => this.#show(t("upload.storing")), signal });
      this.#selection.replace([]);
      this.#open(await this.#address(job.id, signal));
    } catch (error) {
      this.#fail(error);
    }
    this.#call = undefined;
    this.#setBusy(false);
  }

  /** Of the only series, or of the list of several, as soon as the job's series are known. @param {string} id @param {AbortSignal} signal */
  async #address(id, signal) {
    this.#show(t("job.finding"));
    for await (const { data } of events(`v1/jobs/${id}/events`, signal)) {
      if (data?.progress?.series === 1) return `#/jobs/${id}/series/0`;
      if (data?.progress?.series > 1 || data?.ended) break;
    }
    return `#/jobs/${id}`;
  }

  /** Not while the reader looks at another view. @param {string} href */
  #open(href) {
    this.#outcome.replaceChildren(element("p", {}, element("a", { href }, t("upload.open"))));
    if (this.element.isConnected) location.hash = href;
    else announce(t("upload.open"));
  }

  /** @param {number} sent @param {number} total bytes */
  #showSent(sent, total) {
    this.#show(t("upload.sending"), t("upload.amount", { sent: formatBytes(sent), total: formatBytes(total) }));
    this.#bar.value = total > 0 ? sent / total : 0;
  }

  /** @param {string} activity of unknown duration, without an amount */
  #show(activity, amount = "") {
    if (this.#activity.textContent !== activity) announce(activity);
    this.#activity.textContent = activity;
    this.#amount.textContent = amount;
    if (!amount) this.#bar.removeAttribute("value");
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    show(this.#progress, busy);
    show(this.#options, !busy && this.#selection.entries.length > 0);
    this.#choose.disabled = busy;
    if (busy) this.#outcome.replaceChildren();
  }

  /** @param {any} error */
  #fail(error) {
    if (error instanceof RequestCancelled || error.name === "AbortError") return announce(t("upload.cancelled"));
    const known = error instanceof RequestError ? error : new RequestError({ title: String(error) });
    this.#outcome.replaceChildren(problemSection(known, () => this.#upload()));
    /** @type {HTMLElement} */ (this.#outcome.querySelector("h3")).focus();
  }

  /** Waits while the service starts. */
  async #loadModel() {
    const served = await servedModel().catch(() => undefined);
    if (!served) {
      this.#model.textContent = t("upload.model_not_ready");
      setTimeout(() => this.#loadModel(), MODEL_RETRY_MS);
      return;
    }
    const { card, sha256, operating_point: site } = served;
    this.#point.replaceChildren(...Object.keys(card.thresholds).map((point) => element("option", { value: point }, t(/** @type {any} */ (`point.${point}`)))));
    this.#point.value = site;
    const explain = () => (this.#pointHint.textContent = t("upload.rule", { any: formatThreshold(card.thresholds[this.#point.value].series.any) }));
    this.#point.addEventListener("change", explain);
    explain();
    this.#model.replaceChildren(t("upload.model", { name: card.name, sha256: sha256.slice(0, 12) }), " ", element("span", { lang: "en" }, card.description));
  }
}
