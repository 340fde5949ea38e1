// Changes of the worklist, live. One tab holds the stream of events and passes them on: browsers allow few connections.

import { events } from "../request.js";

const tabs = new BroadcastChannel("ich-worklist");

/**
 * Calls back at each change until the signal; `disconnected` is followed by `changed` when the service answers again.
 * @param {(state: "changed" | "disconnected") => void} onState
 * @param {AbortSignal} signal
 * @returns {Promise<void>} rejects with the RequestError of a refusal
 */
export async function watchWorklist(onState, signal) {
  tabs.addEventListener("message", ({ data }) => onState(data), { signal });
  const follow = async () => {
    for await (const { event } of events("v1/worklist/events", signal)) {
      const state = event === "changed" ? "changed" : "disconnected";
      tabs.postMessage(state);
      onState(state);
    }
  };
  try {
    await (navigator.locks ? navigator.locks.request("ich-worklist", { signal }, follow) : follow());
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
