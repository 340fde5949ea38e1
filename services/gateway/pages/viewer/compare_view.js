/** @type {import("../router.js").OpenView} */
export function openCompareView(container, parameters) {
  container.append(`Compare ${JSON.stringify(parameters)}`);
  return { close() {} };
}
