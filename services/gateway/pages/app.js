// The page: its frame, and the view that the address names.

import "./login/redirect.js"; // first: it restores the address

import { byId, element } from "./dom.js";
import { LANGUAGES, language, t } from "./i18n/i18n.js";
import { showAccount } from "./login/account.js";
import { resumeLogin } from "./login/login.js";
import { startRouter } from "./router.js";

const NAMES = { en: "English", de: "Deutsch" };

document.documentElement.lang = language;
byId("disclaimer").textContent = t("app.disclaimer");
byId("disclaimer").setAttribute("aria-label", t("nav.disclaimer"));
byId("title").textContent = t("app.title");

const links = {
  worklist: element("a", { href: "#/" }, t("nav.worklist")),
  model: element("a", { href: "#/model" }, t("nav.model")),
  api: element("a", { href: "docs" }, t("nav.api")),
};
byId("navigation").setAttribute("aria-label", t("nav.label"));
byId("navigation").append(...Object.values(links), ...LANGUAGES.filter((other) => other !== language).map(languageLink));
showAccount(byId("account"));

/** Keeps the view: the address behind `#` is read at the click. @param {string} other */
function languageLink(other) {
  const link = element("a", { href: `?lang=${other}`, lang: other, hreflang: other }, NAMES[/** @type {"en"} */ (other)]);
  link.addEventListener("click", () => link.setAttribute("href", `?lang=${other}${location.hash}`));
  return link;
}

await resumeLogin();
startRouter(
  byId("view"),
  {
    series: async () => (await import("./viewer/series_view.js")).openSeriesView,
    compare: async () => (await import("./viewer/compare_view.js")).openCompareView,
    model: async () => (await import("./model/model_view.js")).openModelView,
    worklist: async () => (await import("./worklist/worklist_view.js")).openWorklistView,
  },
  (view) => {
    for (const [name, link] of Object.entries(links)) link.setAttribute("aria-current", name === view ? "page" : "false");
  },
);
