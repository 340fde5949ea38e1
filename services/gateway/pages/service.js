// The served model: which operating points its card offers, and how its windows are set.

import { byId, element } from "./dom.js";
import { threshold } from "./text.js";

const ASK_AGAIN_MS = 5000;
const MEANINGS = {
  default: "default",
  sensitive: "sensitive: fewer misses, more false alarms",
  specific: "specific: fewer false alarms, more misses",
};

// Resolves with {sha256, card, operating_point}; while the service starts, it is asked again and again.
export async function servedModel() {
  for (;;) {
    try {
      const answer = await fetch("v1/models");
      if (answer.ok) return await answer.json();
    } catch {
      // Out of reach: the same words, and the same patience.
    }
    byId("served").textContent = "The service is not ready yet. Asking again …";
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

export function offerOperatingPoints({ sha256, card, operating_point: atThisSite }) {
  const select = byId("operating-point");
  const points = Object.keys(card.thresholds);
  select.replaceChildren(...points.map((point) => element("option", { value: point }, MEANINGS[point] ?? point)));
  if (points.includes(atThisSite)) select.value = atThisSite;
  const explain = () => {
    const any = card.thresholds[select.value].series.any;
    byId("operating-point-hint").textContent = `A series is positive above ${threshold(any)} for any, or where a subtype is.`;
  };
  select.addEventListener("change", explain);
  explain();
  byId("served").textContent = `Served model: ${card.name} (${sha256.slice(0, 12)}). ${card.description}`;
}
