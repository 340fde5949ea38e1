"""One job in the storage.

<job>/manifest.jsonl        the accepted request: a line for the job, then a line for each file
<job>/source                the program that sent it; earlier versions ignore it
<job>/files/000001          its files by number
<job>/descriptions.jsonl    texts and patients of its series: a line for each; older versions ignore it
<job>/plan.jsonl            its series: a line for all, then a line for each
<job>/reports/000012.json   the report of series 12 ...
<job>/attachments/000012.9f86d081884c7d65.blood    its blood map, with the first digits of the report's SHA-256 ...
<job>/attachments/000012.9f86d081884c7d65.image-5  ... and the picture of its slice 5
<job>/done/000012.failed... ... and its result, in the file's name: see `results.py`; the content is its summary
<job>/models/9f86d08...     the name of a report's bundle, under its SHA-256
<job>/priority/000001.urgent   a later priority than the manifest's; the last name counts
<job>/feedback/000003.179...   a reader's opinion, in the file's name: see `feedback/opinions.py`
<job>/ended.json            final status and time
<job>/age/000001000000...   end by the retention clock, in milliseconds: see `retention.py`
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any, BinaryIO, Final

from services.common.problems import NotFound, Problem
from services.common.timestamps import utc_now
from services.gateway.jobs.results import SeriesResult, model_of, parse_marker
from services.gateway.jobs.schemas import (
    JOB_SOURCES,
    OUTCOMES,
    PRIORITIES,
    FinalStatus,
    JobSource,
    Manifest,
    Outcome,
    Plan,
    PlannedSeries,
    Priority,
    StoredFile,
)
from services.gateway.jobs.storage import Storage
from services.gateway.jobs.storage_errors import StorageUnavailable
from services.gateway.jobs.summaries import SeriesSummary
from services.gateway.uploads.spool import UploadedFile

MANIFEST: Final = "manifest.jsonl"
PLAN: Final = "plan.jsonl"
DESCRIPTIONS: Final = "descriptions.jsonl"
SOURCE: Final = "source"
FILES: Final = "files"
_DONE: Final = "done"
_MODELS: Final = "models"
_AGE: Final = "age"
_PRIORITY: Final = "priority"
_ATTACHMENTS: Final = "attachments"
_FEEDBACK: Final = "feedback"
_DIGEST_DIGITS: Final = 16
_DESCRIBED: Final = {"description", "patient"}  # kept apart from the plan, which older versions read
NO_ATTACHMENTS: Final[Mapping[str, bytes]] = MappingProxyType({})


NOT_YOURS: Final = "only the sender of a job, or an administrator, may change, cancel or delete it: use such a key"


class NotYourJob(Problem):
    status = 403
    code = "not_your_job"
    title = "You may read this job only"


class JobEnded(Problem):
    status = 409
    code = "job_ended"
    title = "The job has ended"


@dataclass(frozen=True, slots=True)
class JobEnd:
    """Final status of a job, and when it ended (ISO 8601)."""

    status: FinalStatus
    at: str


class Job:
    """One job. Another process may cancel or delete it at any moment."""

    def __init__(self, storage: Storage, sender: str, job_id: str) -> None:
        self._storage = storage
        self.sender = sender
        self.id = job_id

    @property
    def key(self) -> str:
        """The key of its folder in the storage."""
        return f"jobs/{self.sender}/{self.id}"

    def manifest(self) -> Manifest:
        """The accepted request; NotFound where the job is gone."""
        return Manifest.model_validate_json(self._first_line(MANIFEST))

    def source(self) -> JobSource | None:
        """The program that sent the job; None for jobs of older versions."""
        with suppress(FileNotFoundError):
            stored = self._storage.get(f"{self.key}/{SOURCE}").decode(errors="replace")
            return next((source for source in JOB_SOURCES if source == stored), None)
        return None

    def priority(self, manifest: Manifest | None = None) -> Priority:
        """The present priority: the manifest's, which is read unless it is given, or a later one."""
        changes = self._storage.names(f"{self.key}/{_PRIORITY}")
        return _changed_priority(changes) or (manifest or self.manifest()).priority

    def create_priority(self, priority: Priority) -> None:
        """Store another priority. Of two at the same time one wins, for every reader the same."""
        latest = self._storage.names(f"{self.key}/{_PRIORITY}")[-1:]
        number = 1 + sum(int(name.partition(".")[0]) for name in latest)
        self._create(f"{_PRIORITY}/{number:06d}.{priority}", b"")

    def stored_files(self, indices: Sequence[int] | None = None) -> list[StoredFile]:
        """The files of these indices from 0, or all files; NotFound where the job is gone."""
        lines = self._read(MANIFEST).split(b"\n")[1:]
        chosen = range(len(lines)) if indices is None else indices
        return [StoredFile.model_validate_json(lines[index]) for index in chosen]

    @contextmanager
    def local_files(self, files: Sequence[StoredFile]) -> Iterator[list[UploadedFile]]:
        """Local copies of some files for the time of the context."""
        keys = [f"{self.key}/{FILES}/{file.number}" for file in files]
        with self._storage.local_copies(keys) as paths:
            yield [UploadedFile(file.name, path, file.size) for file, path in zip(files, paths, strict=True)]

    def files(self, indices: Sequence[int] | None = None) -> AbstractContextManager[list[UploadedFile]]:
        """Local copies of the files of these indices from 0, or of all files, for the time of the context."""
        return self.local_files(self.stored_files(indices))

    def plan(self) -> Plan | None:
        """None before the job is planned."""
        try:
            return Plan.model_validate_json(self._first_line(PLAN))
        except NotFound:
            return None

    def planned_series(self, number: int) -> PlannedSeries:
        """One series of the plan, without its description; NotFound where the job is gone."""
        return PlannedSeries.model_validate_json(self._read(PLAN).split(b"\n")[1 + number])

    def planned_series_of(self, numbers: Iterable[int]) -> list[PlannedSeries]:
        """Some series of the plan, with their descriptions; NotFound where the job has no plan or is gone."""
        planned, described = self._read(PLAN).split(b"\n")[1:], self._descriptions()
        return [
            PlannedSeries(**json.loads(planned[number]), **(json.loads(described[number]) if described else {}))
            for number in numbers
        ]

    def _descriptions(self) -> list[bytes]:
        """A line for each series; none in jobs of older versions, and where nothing is described."""
        try:
            return self._read(DESCRIPTIONS).split(b"\n")
        except NotFound:
            return []

    def create_plan(self, plan: Plan, series: Sequence[PlannedSeries]) -> bool:
        """Store the plan; False where the job has a plan or has ended.

        The descriptions are written first: a plan has its descriptions, also after a crash between the two.
        """
        described = [part.model_dump_json(include=_DESCRIBED) for part in series]
        if any(part.description or part.patient for part in series):
            self._create_unless_cancelled(DESCRIPTIONS, "\n".join(described).encode())
        lines = (plan.model_dump_json(), *(part.model_dump_json(exclude=_DESCRIBED) for part in series))
        return self._create_unless_cancelled(PLAN, "\n".join(lines).encode())

    def create_report(self, number: int, document: bytes, attachments: Mapping[str, bytes] = NO_ATTACHMENTS) -> bool:
        """Store a series' report; False where the series has a report or the job has ended.

        The attachments are written first, then the report, then the marker of its result. After a crash between two of
        them the series is assessed again, and the marker is made from the first report. A report without a marker is
        not listed. Attachments belong to the bytes of one report: those of another attempt are never taken for its own.

        Parameters
        ----------
        attachments : the blood map and pictures, by name
        """
        name = f"reports/{number:06d}.json"
        try:
            for part, content in attachments.items():
                self._create_unless_cancelled(_attachment(number, document, part), content)
            first = self._create_unless_cancelled(name, document)
        except Exception:
            self._remove_attachments(number, document, attachments)
            raise
        if not first and not self._is_stored(number, document):
            self._remove_attachments(number, document, attachments)
        if not first and (self.ended() or not self.exists()):
            return False
        report = json.loads(document if first else self.report(number))
        self._create_model_name(report)
        marker = f"{_DONE}/{SeriesResult.of(report).name(number)}"
        self._create_unless_cancelled(marker, _summary(report))
        if not self._has(marker):  # the job was cancelled meanwhile
            self._remove(name)
            self._remove_attachments(number, document, attachments)
            return False
        return first

    def _is_stored(self, number: int, document: bytes) -> bool:
        try:
            return self.report(number) == document
        except NotFound:
            return False

    def _remove_attachments(self, number: int, document: bytes, names: Iterable[str]) -> None:
        """Remove the attachments of a report that was not stored."""
        for part in names:
            self._remove(_attachment(number, document, part))

    def _create_model_name(self, report: Mapping[str, Any]) -> None:
        """Store the name of a report's bundle, once a job."""
        sha256, name = model_of(report)
        path = f"{_MODELS}/{sha256}"
        if sha256 and not self._has(path):
            self._create(path, name.encode())

    def outcomes(self) -> dict[int, Outcome]:
        """The outcome of each series with a report, by number. Workers read this before each series."""
        parts = (name.split(".", 2) for name in self._storage.names(f"{self.key}/{_DONE}"))
        return {int(number): outcome for number, outcome, *_ in parts if outcome in OUTCOMES}

    def results(self) -> dict[int, SeriesResult]:
        """The result of each report, by number of the series."""
        names = self._storage.names(f"{self.key}/{_DONE}")
        marked = {marker[0]: marker[1:] for name in names if (marker := parse_marker(name))}
        found = {
            number: result or self._upgrade_marker(number, outcome) for number, (outcome, result) in marked.items()
        }
        return {number: result for number, result in found.items() if result}

    def markers(self) -> dict[int, str]:
        """The name of each result's marker, by number of the series."""
        names = self._storage.names(f"{self.key}/{_DONE}")
        return {marker[0]: name for name in names if (marker := parse_marker(name))}

    def summary(self, number: int, marker: str) -> SeriesSummary:
        """The summary of a listed report; NotFound where the job was cancelled or deleted meanwhile.

        Markers of older versions are empty: the summary is made from the report.
        """
        try:
            return SeriesSummary.model_validate_json(self._read(f"{_DONE}/{marker}"))
        except ValueError:
            return SeriesSummary.of(json.loads(self.report(number)))

    def _upgrade_marker(self, number: int, outcome: Outcome) -> SeriesResult | None:
        """Replace a marker of version 0.1.0, which had the outcome only, by one with the report's result."""
        try:
            report = json.loads(self.report(number))
        except NotFound:  # the job was deleted meanwhile
            return None
        result = SeriesResult.of(report)
        with suppress(OSError):  # on a full disk, the next reader upgrades it
            self._create_model_name(report)
            if self._create(f"{_DONE}/{result.name(number)}", _summary(report)):
                self._remove(f"{_DONE}/{number:06d}.{outcome}")
        return result

    def models(self) -> dict[str, str]:
        """SHA-256 and name of the bundles of all reports."""
        found = self._storage.names(f"{self.key}/{_MODELS}")
        return {sha256: self._read(f"{_MODELS}/{sha256}").decode() for sha256 in found}

    def report(self, number: int) -> bytes:
        """A series' report in JSON; NotFound where there is none, or the job was cancelled meanwhile."""
        return self._read(f"reports/{number:06d}.json")

    def open_attachment(self, number: int, document: bytes, name: str) -> BinaryIO | None:
        """The attachment of a stored report, open for reading; None where it has none of that name."""
        key = f"{self.key}/{_attachment(number, document, name)}"
        try:
            with self._storage.local_copies([key]) as (path,):
                return path.open("rb")  # it stays readable after a copy is removed
        except FileNotFoundError:
            return None

    def opinions(self) -> list[str]:
        """Sorted names of readers' opinions."""
        return self._storage.names(f"{self.key}/{_FEEDBACK}")

    def create_opinion(self, name: str) -> None:
        """Store a reader's opinion; NotFound where the job is gone."""
        if not self._create(f"{_FEEDBACK}/{name}", b"") and not self.exists():
            raise job_not_found()

    def ended(self) -> JobEnd | None:
        """None until the job ends."""
        try:
            return JobEnd(**json.loads(self._read("ended.json")))
        except NotFound:
            return None

    def end(self, status: FinalStatus) -> bool:
        """Store the final status; False where the job had ended before."""
        return self._storage.create(f"{self.key}/ended.json", json.dumps({"status": status, "at": utc_now()}).encode())

    def end_mark(self) -> int | None:
        """The end by the retention clock, in milliseconds; None before `mark_end`."""
        marks = [name for name in self._storage.names(f"{self.key}/{_AGE}") if name.isdigit()]
        return int(marks[-1]) if marks else None

    def mark_end(self, clock_ms: int, *, replace: int | None) -> int:
        """Store the end by the retention clock, in place of another mark."""
        self._create(f"{_AGE}/{clock_ms:015d}", b"")
        if replace is not None:
            self._remove(f"{_AGE}/{replace:015d}")
        return clock_ms

    def exists(self) -> bool:
        """Whether the job was accepted and not deleted.

        Callers remove what belongs to a missing job, so a listing confirms it: a balancer without a server answers 404.
        """
        return self._has(MANIFEST) or MANIFEST in self._storage.names(self.key)

    def is_in_use(self) -> bool:
        """Whether it has a plan, or a later priority: what only an accepted job has."""
        return self._has(PLAN) or bool(self._storage.names(f"{self.key}/{_PRIORITY}"))

    def has_files(self) -> bool:
        """Whether the uploaded files were not removed."""
        return bool(self._storage.names(f"{self.key}/{FILES}"))

    def remove_files(self) -> None:
        """Remove the uploaded files; plan and reports stay until the job is deleted."""
        self._remove(FILES)

    def remove(self) -> None:
        """Delete the job."""
        self._storage.remove(self.key)

    def _create_unless_cancelled(self, name: str, content: bytes) -> bool:
        """As `_create`; a file that is written after the cancellation is removed again."""
        first = self._create(name, content)
        if first and (end := self.ended()) and end.status == "cancelled":
            self._remove(name)
            return False
        return first

    def _create(self, name: str, content: bytes) -> bool:
        """Write a file once; a file that is written after the job was deleted is removed again."""
        try:
            first = self._storage.create(f"{self.key}/{name}", content)
        except FileNotFoundError:  # its folder was removed meanwhile
            first = False
        if not self.exists():
            self.remove()
            return False
        return first

    def _has(self, name: str) -> bool:
        return self._storage.exists(f"{self.key}/{name}")

    def _remove(self, name: str) -> None:
        self._storage.remove(f"{self.key}/{name}")

    def _read(self, name: str) -> bytes:
        try:
            return self._storage.get(f"{self.key}/{name}")
        except FileNotFoundError:
            if name == MANIFEST and self.exists():
                raise StorageUnavailable("the storage of jobs lists a file that it does not find; try again") from None
            raise job_not_found() from None

    def _first_line(self, name: str) -> bytes:
        return self._read(name).partition(b"\n")[0]


def _summary(report: Mapping[str, Any]) -> bytes:
    return SeriesSummary.of(report).model_dump_json().encode()


def _attachment(number: int, document: bytes, name: str) -> str:
    """The path of an attachment of a report, which holds the digest of the report's bytes."""
    return f"{_ATTACHMENTS}/{number:06d}.{sha256(document).hexdigest()[:_DIGEST_DIGITS]}.{name}"


def _changed_priority(names: Sequence[str]) -> Priority | None:
    found = (name.partition(".")[2] for name in reversed(names))
    return next((priority for name in found for priority in PRIORITIES if priority == name), None)


def job_not_found() -> NotFound:
    """For a job that does not exist, or belongs to another sender."""
    return NotFound("there is no such job; jobs are deleted some time after their end")
