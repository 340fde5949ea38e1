// Who is logged in, by the id token, and the button that logs out.

import { button, element } from "../dom.js";
import { t } from "../i18n/i18n.js";
import { changes, currentSession } from "../session.js";
import { logOut } from "./oidc.js";

/** @param {HTMLElement} place shows nothing until there is a session */
export function showAccount(place) {
  changes.addEventListener("session", () => {
    const { name, roles } = currentSession() ?? {};
    const given = roles?.length ? ` · ${t("login.roles", { roles: roles.join(", ") })}` : "";
    const who = name ? [element("span", {}, t("login.name", { name }) + given)] : [];
    place.replaceChildren(...who, button(t("login.end"), logOut));
  });
}
