// Requests to /v1/jobs, and the events of a job until its end.

import { RequestError, responseError } from "./errors.js";
import { authHeaders } from "./api_key.js";

const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 15000;
const PAGE_SIZE = 100;

async function request(address, { headers = {}, ...options } = {}) {
  const response = await fetch(address, { ...options, headers: { ...authHeaders(), ...headers }, cache: "no-store" });
  if (!response.ok) throw responseError(response.status, await response.text(), response.headers.get("retry-after"));
  return response;
}

// Throws a 401 where a key is required; checked before a long upload.
export const checkAccess = () => request("v1/jobs?limit=1");

export const deleteJob = (id) => request(`v1/jobs/${id}`, { method: "DELETE" });

export const downloadReports = async (id, type) => (await request(`v1/jobs/${id}/reports`, { headers: { accept: type } })).blob();

// The number of a series in its job: the end of its report's id.
export const seriesNumber = ({ id }) => Number(id.slice(id.lastIndexOf("-") + 1));

// Calls `onReport(report)` once for each report, `onJob(job)` for each change, and `onDisconnect()` before each retry.
// Throws where the job does not exist or a key is required.
export async function followJob(id, { onReport, onJob, onDisconnect }, signal) {
  const reports = new ReportReader(id, onReport, signal);
  for (let delay = FIRST_DELAY_MS; ; delay = Math.min(2 * delay, MAX_DELAY_MS)) {
    try {
      for await (const { event, data } of readEvents(`v1/jobs/${id}/events`, signal)) {
        if (event === "gone") throw deletedError();
        const job = JSON.parse(data);
        await reports.readNew(job);
        onJob(job);
        if (event === "end") return;
        delay = FIRST_DELAY_MS;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
      onDisconnect();
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
    if (signal.aborted) return;
  }
}

const deletedError = () =>
  new RequestError({ title: "The job is deleted", detail: "It was deleted on the server. Send its files again", status: 404 });

// Series do not end in the order of their numbers, so a page may repeat known reports.
class ReportReader {
  seen = new Set();
  first = 0; // lowest number not seen

  constructor(id, onReport, signal) {
    Object.assign(this, { id, onReport, signal });
  }

  async readNew({ progress }) {
    if (progress.series_done <= this.seen.size) return;
    for (let after = this.first - 1, more = true; more; ) {
      const query = new URLSearchParams({ after, limit: PAGE_SIZE });
      const page = await (await request(`v1/jobs/${this.id}/reports?${query}`, { signal: this.signal })).json();
      for (const report of page.reports) this.add(report);
      after = Math.max(after, ...page.reports.map(seriesNumber));
      more = page.next !== null;
    }
  }

  add(report) {
    const number = seriesNumber(report);
    if (this.seen.has(number)) return;
    this.seen.add(number);
    while (this.seen.has(this.first)) this.first += 1;
    this.onReport(report);
  }
}

// Server-sent events by fetch: EventSource cannot send a key.
async function* readEvents(address, signal) {
  const response = await request(address, { signal, headers: { accept: "text/event-stream" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const messages = (text + value).split("\n\n");
    text = messages.pop();
    for (const message of messages) if (!message.startsWith(":")) yield parseFields(message);
  }
}

function parseFields(message) {
  return Object.fromEntries(message.split("\n").map((line) => line.split(/: (.*)/s, 2)));
}
