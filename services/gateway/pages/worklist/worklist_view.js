/** @type {import("../router.js").OpenView} */
export function openWorklistView(container, parameters) {
  container.append(`Worklist ${JSON.stringify(parameters)}`);
  return { close() {} };
}
