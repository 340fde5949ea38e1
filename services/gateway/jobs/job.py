"""One job in the store.

<job>/manifest.jsonl        what was accepted; a line for it, and one for each file
<job>/files/000001          its files, under numbers
<job>/plan.jsonl            its series; a line for all, and one for each
<job>/reports/000012.json   the one report of series 12 ...
<job>/done/000012.failed    ... and what became of it, in a name
<job>/ended.json            when and how it ended
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from services.common.clock import now
from services.common.problems import NotFound
from services.gateway.jobs.schemas import OUTCOMES, EndStatus, Manifest, Outcome, Plan, StoredFile, Unit
from services.gateway.jobs.shelf import Shelf
from services.gateway.spool import UploadedFile

MANIFEST: Final = "manifest.jsonl"
PLAN: Final = "plan.jsonl"
FILES: Final = "files"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended."""

    status: EndStatus
    at: str


class Job:
    """One job. It may be gone at any moment, for its sender may cancel it."""

    def __init__(self, shelf: Shelf, sender: str, job_id: str) -> None:
        self._shelf = shelf
        self.sender = sender
        self.id = job_id

    @property
    def place(self) -> str:
        """Its folder on the shelf."""
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
        with self._shelf.fetched(places) as paths:
            yield [UploadedFile(file.name, path, file.size) for file, path in zip(chosen, paths, strict=True)]

    def plan(self) -> Plan | None:
        """None before the job is planned."""
        try:
            return Plan.model_validate_json(self._head(PLAN))
        except NotFound:
            return None

    def unit(self, number: int) -> Unit:
        """A series by its number; NotFound where the job is gone."""
        return Unit.model_validate_json(self._get(PLAN).split(b"\n")[1 + number])

    def put_plan(self, plan: Plan, units: Sequence[Unit]) -> bool:
        """False where there is one already, or the job is at its end."""
        lines = "\n".join(part.model_dump_json() for part in (plan, *units))
        return self._put(PLAN, lines.encode())

    def put_report(self, number: int, outcome: Outcome, document: bytes) -> bool:
        """Keep a series' report; False where it has one already, or the job is at its end.

        The report is kept first, and then what became of the series, by the report that was kept: a crash between the
        two has the series done once more, and changes nothing.
        """
        name = f"{number:06d}"
        first = self._put(f"reports/{name}.json", document)
        if not first and (self.ended() or not self.is_there()):
            return False
        kept = outcome if first else json.loads(self.report(number))["status"]
        self._put(f"done/{name}.{kept}", b"")
        return first

    def outcomes(self) -> dict[int, Outcome]:
        """What became of every series that has a report, in their order."""
        parts = (name.split(".") for name in self._shelf.names(f"{self.place}/done"))
        return {int(number): outcome for number, outcome in parts if outcome in OUTCOMES}

    def report(self, number: int) -> bytes:
        """NotFound where there is none, or the job was cancelled meanwhile."""
        return self._get(f"reports/{number:06d}.json")

    def ended(self) -> Ended | None:
        """None while there is work to do."""
        try:
            return Ended(**json.loads(self._get("ended.json")))
        except NotFound:
            return None

    def end(self, status: EndStatus) -> bool:
        """Write down that it ended; False where it had ended before."""
        return self._shelf.put_once(f"{self.place}/ended.json", json.dumps({"status": status, "at": now()}).encode())

    def is_there(self) -> bool:
        """Whether it was accepted, and not forgotten."""
        return self._shelf.exists(f"{self.place}/{MANIFEST}")

    def clear(self) -> None:
        """Remove its files and reports; that it was there stays known."""
        for name in (FILES, PLAN, "reports", "done"):
            self._shelf.remove(f"{self.place}/{name}")

    def remove(self) -> None:
        """Remove everything."""
        self._shelf.remove(self.place)

    def _put(self, name: str, content: bytes) -> bool:
        """Write once, and not after the end: who ends a job removes what is there, and what comes later goes here."""
        try:
            first = self._shelf.put_once(f"{self.place}/{name}", content)
        except FileNotFoundError:  # its folder was removed at this very moment
            first = False
        if not self.is_there():
            self.remove()
            return False
        if (ended := self.ended()) and ended.status == "cancelled":
            self.clear()
            return False
        return first

    def _get(self, name: str) -> bytes:
        try:
            return self._shelf.get(f"{self.place}/{name}")
        except FileNotFoundError:
            raise no_such_job() from None

    def _head(self, name: str) -> bytes:
        return self._get(name).partition(b"\n")[0]


def no_such_job() -> NotFound:
    """For a job that is not there, or is another sender's."""
    return NotFound("there is no such job; jobs are forgotten some time after their end")
