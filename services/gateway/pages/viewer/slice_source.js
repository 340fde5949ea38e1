// Fetches the pixels of slices.

import { request } from "../request.js";
import { decodeSlice } from "./png.js";

/** @typedef {import("./png.js").SliceImage} SliceImage */

/**
 * Hounsfield units of a slice; of a PNG upload, and where the files were removed, its kept picture of three windows.
 * @param {string} job @param {number} number of the series
 */
export function sliceSource(job, number) {
  const load = async (/** @type {string} */ path, /** @type {AbortSignal} */ signal) => {
    const response = await request(`v1/jobs/${job}/series/${number}/slices/${path}`, { signal });
    return decodeSlice(new Uint8Array(await response.arrayBuffer()));
  };
  let isPicture = false;
  return async (/** @type {number} */ index, /** @type {AbortSignal} */ signal) => {
    if (isPicture) return load(`${index}/image`, signal);
    try {
      return await load(String(index), signal);
    } catch (error) {
      const { code } = /** @type {any} */ (error);
      isPicture ||= code === "no_hounsfield_units";
      if (!isPicture && code !== "no_files") throw error;
      return load(`${index}/image`, signal);
    }
  };
}
