// The measurements of a series that was not assessed, as one sentence. A pure function of the evidence.

import { formatPercent, pluralize } from "./text.js";

const SHARES = { bone: "bone", brain: "brain", air: "air", centre_air: "air inside the bone", metal: "metal" };

// Empty for reports of older versions, which have no evidence.
export function describeEvidence(evidence) {
  if (!evidence) return "";
  const parts = [...describePixels(evidence), ...describeGeometry(evidence)];
  return parts.length > 0 ? `Measured: ${parts.join(", ")}.` : "";
}

function describePixels(evidence) {
  const { slices_read: read, constant_slices: constant, air_hu: airHu } = evidence;
  if (read === 0) return ["no pixels: the headers already refused the series"];
  const measured = Object.entries(SHARES).filter(([name]) => Number.isFinite(evidence[name]));
  const shares = measured.map(([name, title]) => `${title} ${formatPercent(evidence[name])}`);
  const air = airHu === null ? [] : [`air at ${Math.round(airHu)}\u00a0HU`];
  const uniform = constant > 0 ? [`${constant} of ${pluralize(read, "slice")} uniform`] : [];
  return [`medians over ${pluralize(read, "slice")}: ${shares.join(", ")}`, ...air, ...uniform];
}

function describeGeometry({ thickness_mm: thickness, spacing_mm: spacing, length_mm: length }) {
  const lengths = [["thickness", thickness], ["spacing", spacing], ["length", length]];
  return lengths.filter(([, value]) => value).map(([name, value]) => `${name} ${Number(value.toFixed(2))}\u00a0mm`);
}
