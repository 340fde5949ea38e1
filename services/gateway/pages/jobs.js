// The calls of /v1/jobs, and a job followed to its end by its events.

import { Failure, failureOf } from "./failure.js";
import { authorization } from "./key.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15000;
const PAGE = 100;

async function ask(address, { headers = {}, ...options } = {}) {
  const answer = await fetch(address, { ...options, headers: { ...authorization(), ...headers }, cache: "no-store" });
  if (!answer.ok) throw failureOf(answer.status, await answer.text(), answer.headers.get("retry-after"));
  return answer;
}

// Fails with 401 where a key is needed: asked before an upload, which would be for nothing.
export const mayISend = () => ask("v1/jobs?limit=1");

export const endJob = (id) => ask(`v1/jobs/${id}`, { method: "DELETE" });

export const reportsAs = async (id, type) => (await ask(`v1/jobs/${id}/reports`, { headers: { accept: type } })).blob();

// The number of a series in its job is the end of its report's id.
export const numberOf = ({ id }) => Number(id.slice(id.lastIndexOf("-") + 1));

// Calls `onReport(report)` once for each and `onJob(job)` as often as it changes, until its end; `onTrouble(failure)`
// where the line broke and is tried again. Fails where the job is not there, or a key is needed.
export async function follow(id, { onReport, onJob, onTrouble }, signal) {
  const reports = new Reports(id, onReport, signal);
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    try {
      for await (const { event, data } of events(`v1/jobs/${id}/events`, signal)) {
        if (event === "gone") throw gone();
        const job = JSON.parse(data);
        await reports.catchUp(job);
        onJob(job);
        if (event === "end") return;
        wait = FIRST_WAIT_MS;
      }
    } catch (failure) {
      if (signal.aborted) return;
      if (failure.status >= 400 && failure.status < 500 && failure.status !== 429) throw failure;
      onTrouble(failure);
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (signal.aborted) return;
  }
}

const gone = () => new Failure({ title: "This job is gone", detail: "It was ended by somebody.", status: 404 });

// Series end in another order than they are numbered, so a page may bring some that are known.
class Reports {
  seen = new Set();
  first = 0; // of the numbers, the lowest that is not seen

  constructor(id, onReport, signal) {
    Object.assign(this, { id, onReport, signal });
  }

  async catchUp({ progress }) {
    if (progress.series_done <= this.seen.size) return;
    for (let after = this.first - 1, more = true; more; ) {
      const query = new URLSearchParams({ after, limit: PAGE });
      const page = await (await ask(`v1/jobs/${this.id}/reports?${query}`, { signal: this.signal })).json();
      for (const report of page.reports) this.take(report);
      after = Math.max(after, ...page.reports.map(numberOf));
      more = page.next !== null;
    }
  }

  take(report) {
    const number = numberOf(report);
    if (this.seen.has(number)) return;
    this.seen.add(number);
    while (this.seen.has(this.first)) this.first += 1;
    this.onReport(report);
  }
}

// Server-sent events by fetch, because EventSource can send no key.
async function* events(address, signal) {
  const answer = await ask(address, { signal, headers: { accept: "text/event-stream" } });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const pieces = (text + value).split("\n\n");
    text = pieces.pop();
    for (const piece of pieces) if (!piece.startsWith(":")) yield fields(piece);
  }
}

function fields(piece) {
  return Object.fromEntries(piece.split("\n").map((line) => line.split(/: (.*)/s, 2)));
}
