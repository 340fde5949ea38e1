/** @type {import("../router.js").OpenView} */
export function openModelView(container, parameters) {
  container.append(`Model ${JSON.stringify(parameters)}`);
  return { close() {} };
}
