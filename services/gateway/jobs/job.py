"""One job in the store.

<job>/manifest.jsonl        what was accepted; a line for it, and one for each file
<job>/files/000001          its files, under numbers
<job>/plan.jsonl            its series; a line for all, and one for each
<job>/reports/000012.json   the one report of series 12 ...
<job>/done/000012.failed... ... and what became of it, in a name: see `results.py`
<job>/models/9f86d08...     the name of a report's bundle, under its SHA-256
<job>/ended.json            when and how it ended
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from services.common.problems import NotFound
from services.common.timestamps import utc_now
from services.gateway.jobs.results import SeriesResult, model_of, parse
from services.gateway.jobs.schemas import OUTCOMES, FinalStatus, Manifest, Outcome, Plan, PlannedSeries, StoredFile
from services.gateway.jobs.storage import Storage
from services.gateway.spool import UploadedFile

MANIFEST: Final = "manifest.jsonl"
PLAN: Final = "plan.jsonl"
FILES: Final = "files"
_DONE: Final = "done"
_MODELS: Final = "models"


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended."""

    status: FinalStatus
    at: str


class Job:
    """One job. It may be gone at any moment, for its sender may cancel it."""

    def __init__(self, storage: Storage, sender: str, job_id: str) -> None:
        self._storage = storage
        self.sender = sender
        self.id = job_id

    @property
    def place(self) -> str:
        """Its folder on the storage."""
        return f"jobs/{self.sender}/{self.id}"

    def manifest(self) -> Manifest:
        """NotFound where the job is gone."""
        return Manifest.model_validate_json(self._head(MANIFEST))

    @contextmanager
    def files(self, wanted: Sequence[int] | None = None) -> Iterator[list[UploadedFile]]:
        """The files of those numbers, counted from 0; all without. On this machine, for as long as they are needed."""
        lines = self._get(MANIFEST).split(b"\n")[1:]
        chosen = [
            StoredFile.model_validate_json(lines[number])
            for number in (range(len(lines)) if wanted is None else wanted)
        ]
        places = [f"{self.place}/{FILES}/{file.number}" for file in chosen]
        with self._storage.local_copies(places) as paths:
            yield [UploadedFile(file.name, path, file.size) for file, path in zip(chosen, paths, strict=True)]

    def plan(self) -> Plan | None:
        """None before the job is planned."""
        try:
            return Plan.model_validate_json(self._head(PLAN))
        except NotFound:
            return None

    def unit(self, number: int) -> PlannedSeries:
        """A series by its number; NotFound where the job is gone."""
        return PlannedSeries.model_validate_json(self._get(PLAN).split(b"\n")[1 + number])

    def create_plan(self, plan: Plan, units: Sequence[PlannedSeries]) -> bool:
        """False where there is one already, or the job is at its end."""
        lines = "\n".join(part.model_dump_json() for part in (plan, *units))
        return self._put(PLAN, lines.encode())

    def create_report(self, number: int, document: bytes) -> bool:
        """Keep a series' report; False where it has one already, or the job is at its end.

        The report is kept first, and then what became of the series, by the report that was kept: a crash between the
        two has the series done once more, and changes nothing. A report without a marker is not listed.
        """
        name = f"reports/{number:06d}.json"
        first = self._put(name, document)
        if not first and (self.ended() or not self.exists()):
            return False
        report = json.loads(document if first else self.report(number))
        self._create_model_name(report)
        marker = f"{_DONE}/{SeriesResult.of(report).name(number)}"
        self._put(marker, b"")
        if not self._exists(marker):  # the job was cancelled at this very moment
            self._remove(name)
            return False
        return first

    def _create_model_name(self, report: Mapping[str, Any]) -> None:
        """Keep the name of a report's bundle, once a job."""
        sha256, name = model_of(report)
        place = f"{_MODELS}/{sha256}"
        if sha256 and not self._exists(place):
            self._write(place, name.encode())

    def outcomes(self) -> dict[int, Outcome]:
        """What became of every series that has a report, in their order. Workers ask this before each series."""
        parts = (name.split(".", 2) for name in self._storage.names(f"{self.place}/{_DONE}"))
        return {int(number): outcome for number, outcome, *_ in parts if outcome in OUTCOMES}

    def results(self) -> dict[int, SeriesResult]:
        """The result of every report, in the order of the series."""
        names = self._storage.names(f"{self.place}/{_DONE}")
        marked = {marker[0]: marker[1:] for name in names if (marker := parse(name))}
        found = {
            number: result or self._upgrade_marker(number, outcome) for number, (outcome, result) in marked.items()
        }
        return {number: result for number, result in found.items() if result}

    def _upgrade_marker(self, number: int, outcome: Outcome) -> SeriesResult | None:
        """Of a series that an older version marked: by its report, once, for the series is marked anew."""
        try:
            report = json.loads(self.report(number))
        except NotFound:  # the job was forgotten meanwhile
            return None
        result = SeriesResult.of(report)
        with suppress(OSError):  # a full disk: next time, then
            self._create_model_name(report)
            if self._write(f"{_DONE}/{result.name(number)}", b""):
                self._remove(f"{_DONE}/{number:06d}.{outcome}")
        return result

    def models(self) -> dict[str, str]:
        """SHA-256 and name of the bundles of all reports."""
        found = self._storage.names(f"{self.place}/{_MODELS}")
        return {sha256: self._get(f"{_MODELS}/{sha256}").decode() for sha256 in found}

    def report(self, number: int) -> bytes:
        """NotFound where there is none, or the job was cancelled meanwhile."""
        return self._get(f"reports/{number:06d}.json")

    def ended(self) -> JobEnd | None:
        """None while there is work to do."""
        try:
            return JobEnd(**json.loads(self._get("ended.json")))
        except NotFound:
            return None

    def end(self, status: FinalStatus) -> bool:
        """Write down that it ended; False where it had ended before."""
        return self._storage.create(
            f"{self.place}/ended.json", json.dumps({"status": status, "at": utc_now()}).encode()
        )

    def exists(self) -> bool:
        """Whether it was accepted, and not forgotten."""
        return self._exists(MANIFEST)

    def clear(self) -> None:
        """Remove its files; its plan and finished reports stay until it is forgotten."""
        self._remove(FILES)

    def remove(self) -> None:
        """Remove everything."""
        self._storage.remove(self.place)

    def _put(self, name: str, content: bytes) -> bool:
        """Write once; a file that comes after the cancellation is removed again."""
        first = self._write(name, content)
        if first and (ended := self.ended()) and ended.status == "cancelled":
            self._remove(name)
            return False
        return first

    def _write(self, name: str, content: bytes) -> bool:
        """Write once; a file that comes after the job was forgotten is removed again."""
        try:
            first = self._storage.create(f"{self.place}/{name}", content)
        except FileNotFoundError:  # its folder was removed at this very moment
            first = False
        if not self.exists():
            self.remove()
            return False
        return first

    def _exists(self, name: str) -> bool:
        return self._storage.exists(f"{self.place}/{name}")

    def _remove(self, name: str) -> None:
        self._storage.remove(f"{self.place}/{name}")

    def _get(self, name: str) -> bytes:
        try:
            return self._storage.get(f"{self.place}/{name}")
        except FileNotFoundError:
            raise job_not_found() from None

    def _head(self, name: str) -> bytes:
        return self._get(name).partition(b"\n")[0]


def job_not_found() -> NotFound:
    """For a job that is not there, or is another sender's."""
    return NotFound("there is no such job; jobs are forgotten some time after their end")
