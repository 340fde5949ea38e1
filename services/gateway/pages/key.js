// The bearer key of a sender, where the gateway asks for one: kept until the tab is closed, and sent with every upload.

import { byId, present, show } from "./dom.js";

const KEPT_AS = "ich-key";

export function authorization() {
  const key = sessionStorage.getItem(KEPT_AS);
  return key ? { authorization: `Bearer ${key}` } : {};
}

// Shows the form; `onKey()` is called when a key was given.
export function askForKey(onKey) {
  const known = sessionStorage.getItem(KEPT_AS) !== null;
  byId("key-title").textContent = known ? "This key is not known here" : "A key is needed";
  byId("key-input").value = "";
  byId("key-form").onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEPT_AS, byId("key-input").value.trim());
    hideKey();
    onKey();
  };
  show(byId("key"));
  present(byId("key-title"), byId("key"));
  byId("key-input").focus({ preventScroll: true });
}

export function hideKey() {
  show(byId("key"), false);
}
