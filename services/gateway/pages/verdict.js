// The verdict of a report. Pure functions of the report.

import { pluralize, joinLabels } from "./text.js";

// Returns {kind: "present" | "absent" | "unknown", title, detail}.
export function verdictFor(report) {
  if (report.status !== "assessed") return notAssessed(report);
  return report.series ? seriesVerdict(report) : picturesVerdict(report);
}

function notAssessed(report) {
  const detail = `${sliceCount(report)} read, but not assessed. This is not a negative result.`;
  return { kind: "unknown", title: "Not assessed", detail };
}

function seriesVerdict(report) {
  const labels = predictedLabels(report.series.predictions);
  const detail = `${sliceCount(report)}, ${origin(report)}.`;
  if (labels.length > 0) return { kind: "present", title: `Haemorrhage predicted${subtypeList(labels)}`, detail };
  return { kind: "absent", title: "No haemorrhage predicted", detail: `${detail}${sliceWarning(report)}` };
}

// In reports before version 0.2 a slice may be positive and its series not; jobs may still hold such reports.
function sliceWarning(report) {
  const count = positiveSlices(report).length;
  if (count === 0) return "";
  const which = count === 1 ? "1 slice exceeds its own: check it" : `${count} slices exceed theirs: check them`;
  return ` The series is below its thresholds, but ${which}.`;
}

function picturesVerdict(report) {
  const positive = positiveSlices(report);
  const found = new Set(positive.flatMap((slice) => predictedLabels(slice.predictions)));
  const detail = `Each picture alone, ${origin(report)}.`;
  const all = pluralize(report.slices.length, "picture");
  if (positive.length === 0) return { kind: "absent", title: `No haemorrhage predicted in ${all}`, detail };
  const labels = Object.keys(report.thresholds.slice).filter((label) => found.has(label));
  const title = `Haemorrhage predicted in ${positive.length} of ${all}${subtypeList(labels)}`;
  return { kind: "present", title, detail };
}

// "3 warnings"; empty for none.
export function warningCount({ reasons = [] }) {
  const count = reasons.filter(({ severity }) => severity === "warn").length;
  return count > 0 ? pluralize(count, "warning") : "";
}

export const predictedLabels = (predictions) =>
  Object.keys(predictions ?? {}).filter((label) => predictions[label]);

const positiveSlices = (report) => report.slices.filter((slice) => predictedLabels(slice.predictions).length > 0);

const sliceCount = (report) => pluralize(report.slices.length, "slice");

const origin = ({ model, thresholds }) =>
  `assessed by the model ‘${model.name}’ at the operating point ‘${thresholds.operating_point}’`;

function subtypeList(labels) {
  const subtypes = labels.filter((label) => label !== "any");
  return subtypes.length > 0 ? `: ${joinLabels(subtypes)}` : ", type uncertain";
}
