// Progress of a request: bytes during the upload, then elapsed time.

import { announce, byId, show } from "./dom.js";
import { formatBytes, formatSeconds } from "./text.js";

const TICK_MS = 100;

export class Progress {
  timer = 0;

  constructor(onCancel) {
    byId("cancel").addEventListener("click", onCancel);
  }

  sending(sent, total) {
    this.setActivity("Uploading");
    byId("progress-amount").textContent = `${formatBytes(sent)} of ${formatBytes(total)}`;
    byId("progress-bar").value = total > 0 ? sent / total : 0;
  }

  // The duration is unknown: the bar is indeterminate, and a clock runs.
  working(activity) {
    this.setActivity(activity);
    byId("progress-bar").removeAttribute("value");
    const begin = performance.now();
    const tick = () => {
      byId("progress-amount").textContent = formatSeconds(performance.now() - begin);
    };
    tick();
    this.timer = setInterval(tick, TICK_MS);
  }

  setActivity(activity) {
    if (byId("progress-text").textContent === activity) return;
    byId("progress-text").textContent = activity;
    announce(activity);
  }

  open(total) {
    this.sending(0, total);
    show(byId("progress"));
  }

  close() {
    clearInterval(this.timer);
    byId("progress-text").textContent = "";
    show(byId("progress"), false);
  }
}
