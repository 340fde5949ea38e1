// The served model: its operating points and windows.

import { byId, element } from "./dom.js";
import { formatThreshold } from "./text.js";

const RETRY_MS = 5000;
const TITLES = {
  default: "default",
  sensitive: "sensitive: fewer misses",
  specific: "specific: fewer false alarms",
};

// Resolves with {sha256, card, operating_point}; retries while the service starts.
export async function loadServedModel() {
  for (;;) {
    try {
      const response = await fetch("v1/models");
      if (response.ok) return await response.json();
    } catch {
      // Not reachable: retried as well.
    }
    byId("served-model").textContent = "The service is not ready yet. Retrying …";
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

export function fillOperatingPoints({ sha256, card, operating_point: siteDefault }) {
  const select = byId("operating-point");
  const points = Object.keys(card.thresholds);
  select.replaceChildren(...points.map((point) => element("option", { value: point }, TITLES[point] ?? point)));
  if (points.includes(siteDefault)) select.value = siteDefault;
  const explain = () => {
    const any = card.thresholds[select.value].series.any;
    const rule = `A series is positive if any exceeds ${formatThreshold(any)} or a subtype is positive.`;
    byId("operating-point-hint").textContent = rule;
  };
  select.addEventListener("change", explain);
  explain();
  byId("served-model").textContent = `Served model: ${card.name} (${sha256.slice(0, 12)}). ${card.description}`;
}
