/** @type {import("../router.js").OpenView} */
export function openSeriesView(container, parameters) {
  container.append(`Series ${JSON.stringify(parameters)}`);
  return { close() {} };
}
