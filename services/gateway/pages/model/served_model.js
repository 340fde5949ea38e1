// The served bundle's card, its addenda and the site's settings, read once.

import { getJson } from "../request.js";

/** @type {Promise<import("../types.js").ServedModel> | undefined} */
let served;

/** The answer of `GET /v1/models`; after an error the next call asks again. */
export function servedModel() {
  served ??= getJson("v1/models").catch((error) => {
    served = undefined;
    throw error;
  });
  return served;
}
