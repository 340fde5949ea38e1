// What is going on while the page waits: first the bytes that are sent, then the time that passes.

import { announce, byId, show } from "./dom.js";
import { bytes, seconds } from "./text.js";

const TICK_MS = 100;

export class Progress {
  ticking = 0;

  constructor(onCancel) {
    byId("cancel").addEventListener("click", onCancel);
  }

  sending(sent, total) {
    this.say("Uploading");
    byId("progress-amount").textContent = `${bytes(sent)} of ${bytes(total)}`;
    byId("progress-bar").value = total > 0 ? sent / total : 0;
  }

  // How long it takes is not known, so the bar shows no amount and a clock runs instead.
  working(words) {
    this.say(words);
    byId("progress-bar").removeAttribute("value");
    const begin = performance.now();
    const tick = () => {
      byId("progress-amount").textContent = seconds(performance.now() - begin);
    };
    tick();
    this.ticking = setInterval(tick, TICK_MS);
  }

  say(words) {
    if (byId("progress-text").textContent === words) return;
    byId("progress-text").textContent = words;
    announce(words);
  }

  open(total) {
    this.sending(0, total);
    show(byId("progress"));
  }

  close() {
    clearInterval(this.ticking);
    byId("progress-text").textContent = "";
    show(byId("progress"), false);
  }
}
