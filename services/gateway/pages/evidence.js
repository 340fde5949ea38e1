// The measurements of a series that was not assessed, in one sentence. Pure: evidence in, words out.

import { counted, percent } from "./text.js";

const SHARES = { bone: "bone", brain: "brain", air: "air", centre_air: "air amid the bone", metal: "metal" };

// Empty where there is none, as in reports of older versions.
export function evidenceWords(evidence) {
  if (!evidence) return "";
  const parts = [...pixelWords(evidence), ...geometryWords(evidence)];
  return parts.length > 0 ? `Measured: ${parts.join(", ")}.` : "";
}

function pixelWords(evidence) {
  const { slices_read: read, constant_slices: constant, air_hu: airHu } = evidence;
  if (read === 0) return ["no pixels, because the headers refused the series"];
  const known = Object.entries(SHARES).filter(([name]) => Number.isFinite(evidence[name]));
  const shares = known.map(([name, words]) => `${words} ${percent(evidence[name])}`);
  const air = airHu === null ? [] : [`air at ${Math.round(airHu)}\u00a0HU`];
  const uniform = constant > 0 ? [`${constant} of ${counted(read, "slice")} uniform`] : [];
  return [`medians over ${counted(read, "slice")}: ${shares.join(", ")}`, ...air, ...uniform];
}

function geometryWords({ thickness_mm: thickness, spacing_mm: spacing, length_mm: length }) {
  const named = [["thickness", thickness], ["spacing", spacing], ["length", length]];
  return named.filter(([, value]) => value).map(([name, value]) => `${name} ${Number(value.toFixed(2))}\u00a0mm`);
}
