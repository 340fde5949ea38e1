"""A sender that repeats a job with the same Idempotency-Key until it gets 202."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from services.gateway.uploads.multipart_form import FORM_FIELD
from tests.scans import ct_slice, head

_HEAD: Final = head(256)
_PAUSE_S: Final = 0.5
_LOOK_S: Final = 0.25
ENDED: Final = ("finished", "failed", "cancelled")
Parts = list[tuple[str, tuple[str, bytes]]]


@dataclass(frozen=True)
class Tally:
    """Counts of series."""

    accepted: int
    reported: int
    lost: int
    duplicated: int


@dataclass
class Sender:
    """Sends jobs to one gateway, and records the accepted series.

    others : jobs that were there before, which are not counted
    """

    client: httpx.Client
    deadline: float
    others: frozenset[str] = frozenset()
    jobs: dict[str, set[str]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def send(
        self, series: int, slices: int = 6, wrap: Callable[[bytes], Any] = bytes, webhook: str | None = None
    ) -> str:
        """Send a job until it is accepted: its id. `wrap` may turn the body into a slow stream."""
        uids = series_uids(series)
        request = self.client.build_request("POST", "/v1/jobs", files=list(parts(uids, slices)))
        body, key = request.read(), uuid.uuid4().hex
        headers = {"content-type": request.headers["content-type"], "idempotency-key": key}
        while True:
            job_id = self._try(headers, wrap(body), {"webhook": webhook} if webhook else {})
            if job_id:
                self.jobs[job_id] = uids
                return job_id
            if time.monotonic() > self.deadline:
                raise TimeoutError(f"a job was not accepted in time: {Counter(self.refusals)}")
            time.sleep(_PAUSE_S)

    def _try(self, headers: dict[str, str], content: Any, query: dict[str, str]) -> str | None:
        try:
            answer = self.client.post("/v1/jobs", headers=headers, content=content, params=query)
        except httpx.TransportError as error:
            self.refusals.append(type(error).__name__)
            return None
        if answer.status_code == httpx.codes.ACCEPTED:
            return str(answer.json()["id"])
        self.refusals.append(f"{answer.status_code} {answer.json()['code']}")
        return None

    def done(self, job_id: str) -> tuple[bool, int]:
        """Whether a job has ended or is gone, and its number of reports; (False, 0) while the gateway is down."""
        try:
            answer = self.client.get(f"/v1/jobs/{job_id}")
        except httpx.TransportError:
            return False, 0
        if answer.status_code == httpx.codes.NOT_FOUND:
            return True, 0
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # the storage of jobs is away
            return False, 0
        document = answer.raise_for_status().json()
        return document["status"] in ENDED, document["progress"]["series_done"]

    def document(self, job_id: str) -> dict[str, Any]:
        """The document of a job."""
        found: dict[str, Any] = self.client.get(f"/v1/jobs/{job_id}").raise_for_status().json()
        return found

    def wait_until_started(self, job_id: str) -> None:
        """Wait until the first series of a job is reported, but not the last."""
        self._wait(lambda: self.done(job_id)[1] > 0)
        assert self.done(job_id)[0] is False, "the job was too short for a fault in its middle"

    def wait_until(self, job_id: str) -> None:
        """Wait until a job has ended."""
        self._wait(lambda: self.done(job_id)[0])

    def wait_until_ended(self) -> None:
        """Wait until every job has ended."""
        self._wait(lambda: all(self.done(job_id)[0] for job_id in self.jobs))

    def _wait(self, until: Callable[[], bool]) -> None:
        while not until():
            if time.monotonic() > self.deadline:
                return
            time.sleep(_LOOK_S)

    def tally(self) -> Tally:
        """Compare reports with accepted series. A `failed` report counts as lost, since the series are valid."""
        accepted = {uid for uids in self.jobs.values() for uid in uids}
        known = set(job_ids(self.client)) - self.others
        reports = [report for job_id in known for report in self.reports(job_id)]
        times = Counter(report["series"]["series_instance_uid"] for report in reports if report["status"] != "failed")
        double = sum(count - 1 for count in times.values()) + len(known - set(self.jobs))
        return Tally(len(accepted), len(times), len(accepted - set(times)), double)

    def reports(self, job_id: str) -> Iterator[dict[str, Any]]:
        """The reports of a job."""
        accept = {"accept": "application/x-ndjson"}
        answer = self.client.get(f"/v1/jobs/{job_id}/reports", headers=accept).raise_for_status()
        return map(json.loads, answer.text.splitlines())

    def delete_jobs(self) -> None:
        """Delete all jobs, so that the next fault starts with an empty store."""
        for job_id in self.jobs:
            while self.client.delete(f"/v1/jobs/{job_id}").status_code == httpx.codes.OK:
                pass


def job_ids(client: httpx.Client) -> Iterator[str]:
    """The ids of all jobs that the gateway lists."""
    address: str | None = "/v1/jobs?limit=100"
    while address:
        page = client.get(address).raise_for_status().json()
        yield from (job["id"] for job in page["jobs"])
        address = page["next"]


def series_uids(count: int) -> set[str]:
    """New series UIDs."""
    return {f"2.25.{uuid.uuid4().int}" for _ in range(count)}


def parts(uids: set[str], slices: int) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """Form fields of a short series of 256 x 256 pixels for each UID."""
    for number, uid in enumerate(sorted(uids)):
        for index in range(slices):
            tags = {"SeriesInstanceUID": uid, "StudyInstanceUID": f"{uid}.1", "SOPInstanceUID": f"{uid}.{index + 2}"}
            yield FORM_FIELD, (f"{number}-{index}.dcm", ct_slice(index, _HEAD, **tags))
