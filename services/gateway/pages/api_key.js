// The bearer key, where the gateway requires one: stored until the tab is closed, and sent with every request.

import { byId, focusSection, show } from "./dom.js";

const STORAGE_KEY = "ich-key";

export function authHeaders() {
  const key = sessionStorage.getItem(STORAGE_KEY);
  return key ? { authorization: `Bearer ${key}` } : {};
}

// Shows the form; calls `onKey()` after a key was entered.
export function showKeyForm(onKey) {
  const refused = sessionStorage.getItem(STORAGE_KEY) !== null;
  byId("key-title").textContent = refused ? "Unknown key" : "Key required";
  byId("key-input").value = "";
  byId("key-form").onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(STORAGE_KEY, byId("key-input").value.trim());
    hideKeyForm();
    onKey();
  };
  show(byId("key"));
  focusSection(byId("key-title"), byId("key"));
  byId("key-input").focus({ preventScroll: true });
}

export function hideKeyForm() {
  show(byId("key"), false);
}
