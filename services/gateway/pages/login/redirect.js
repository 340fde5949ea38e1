// The provider's answer to a login. Read before all other modules: it restores the address of the view, with its language.

import { parseJson } from "../json.js";

const KEPT = "ich-login"; // only from the redirect to the provider until its answer; no token

/** @typedef {{ client: import("../session.js").Client, state: string, nonce: string, verifier: string, address: string }} Redirect */
/** @type {Redirect | null} */
export const kept = parseJson(sessionStorage.getItem(KEPT) ?? "");
sessionStorage.removeItem(KEPT);

// By a fragment, which no server sees; by the query where a provider has no other way.
const fragment = location.hash.startsWith("#/") ? "" : location.hash.slice(1);
const given = new URLSearchParams(fragment || location.search);
export const answer = given.has("state") && (given.has("code") || given.has("error")) ? given : undefined;
if (answer) history.replaceState(null, "", location.pathname + (kept?.address ?? (fragment && location.search)));

/** @param {Redirect} redirect */
export const keep = (redirect) => sessionStorage.setItem(KEPT, JSON.stringify(redirect));
