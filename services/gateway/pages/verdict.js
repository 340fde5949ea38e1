// The report's answer in one sentence. Pure: a report in, words out.

import { counted, listed } from "./text.js";

// Returns {kind: "present" | "absent" | "unknown", title, detail}.
export function verdictOf(report) {
  if (report.status !== "assessed") return notAssessed(report);
  return report.series ? ofSeries(report) : ofPictures(report);
}

function notAssessed(report) {
  const detail = `${sliceCount(report)} read, but not judged. This is not a negative result.`;
  return { kind: "unknown", title: "Not assessed", detail };
}

function ofSeries(report) {
  const found = predictedLabels(report.series.predictions);
  const at = `${sliceCount(report)}, ${circumstances(report)}.`;
  if (found.length > 0) return { kind: "present", title: `Haemorrhage predicted${kinds(found)}`, detail: at };
  return { kind: "absent", title: "No haemorrhage predicted", detail: `${at}${strayWarning(report)}` };
}

// Reports before version 0.2 could say that a slice is positive and its series is not; jobs may still hold them.
function strayWarning(report) {
  const stray = positiveSlices(report).length;
  if (stray === 0) return "";
  const which = stray === 1 ? "1 slice exceeds its own" : `${stray} slices exceed their own`;
  return ` The series as a whole stays under its thresholds, yet ${which}: please look.`;
}

function ofPictures(report) {
  const positive = positiveSlices(report);
  const found = new Set(positive.flatMap((slice) => predictedLabels(slice.predictions)));
  const point = `Each on its own, ${circumstances(report)}.`;
  const all = counted(report.slices.length, "picture");
  if (positive.length === 0) return { kind: "absent", title: `No haemorrhage predicted in ${all}`, detail: point };
  const labels = Object.keys(report.thresholds.slice).filter((label) => found.has(label));
  const title = `Haemorrhage predicted in ${positive.length} of ${all}${kinds(labels)}`;
  return { kind: "present", title, detail: point };
}

// "3 warnings", to stand behind a title; empty where there are none.
export function warningsOf({ reasons = [] }) {
  const count = reasons.filter(({ severity }) => severity === "warn").length;
  return count > 0 ? counted(count, "warning") : "";
}

export const predictedLabels = (predictions) =>
  Object.keys(predictions ?? {}).filter((label) => predictions[label]);

const positiveSlices = (report) => report.slices.filter((slice) => predictedLabels(slice.predictions).length > 0);

const sliceCount = (report) => counted(report.slices.length, "slice");

const circumstances = ({ model, thresholds }) =>
  `judged by the model ‘${model.name}’ at the operating point ‘${thresholds.operating_point}’`;

function kinds(labels) {
  const subtypes = labels.filter((label) => label !== "any");
  return subtypes.length > 0 ? `: ${listed(subtypes)}` : ", of no certain kind";
}
