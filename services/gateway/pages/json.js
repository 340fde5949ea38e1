/** @param {string} text @returns {any} null where it is no JSON */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
