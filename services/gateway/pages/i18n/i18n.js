// Texts of the page in the reader's language: one table, English and German.

import messages from "./messages.json" with { type: "json" };

export const LANGUAGES = ["en", "de"];

/** @type {"en" | "de"} */
export const language = chosenLanguage();

function chosenLanguage() {
  const asked = new URLSearchParams(location.search).get("lang") ?? navigator.language;
  return asked.toLowerCase().startsWith("de") ? "de" : "en";
}

/**
 * The text of a key. `{name}` is replaced by the value of that name; of "one|other" the form for `count` is taken.
 * @param {keyof typeof messages} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const forms = messages[key][language].split("|");
  const form = forms[Number(values.count) === 1 ? 0 : forms.length - 1];
  return form.replace(/\{(\w+)\}/g, (_, name) => formatValue(values[name]));
}

/** Whether there is a text: a newer service may name what this page does not know. @param {string} key */
export const has = (key) => key in messages;

/** @param {string | number} value */
const formatValue = (value) => (typeof value === "number" ? value.toLocaleString(language) : value);
