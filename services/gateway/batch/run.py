"""One run: sends what no run has sent, gathers what is ready, and stops at any moment without harm."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from services.common.file_codes import UNUSABLE_FILES
from services.gateway.batch.jobs_client import Errands, Refused
from services.gateway.batch.journal import Journal, Record
from services.gateway.batch.outputs import Outputs
from services.gateway.batch.uploads import Bounds, Parcel, Unit, pack
from services.gateway.client import counted, sendable

_WHY_ENDED: Final = {
    "failed": "no series could be formed of its files",
    "cancelled": "somebody cancelled it; its finished reports are kept here",
}


class Shown(Protocol):
    """What a person sees of a run."""

    def going_on(self, files: float, words: str) -> None:
        """So many files are done with."""

    def sent(self, count: int) -> None:
        """So many bytes more went out."""

    def say(self, words: str) -> None:
        """A sentence that stays."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How jobs are sent: how large, how many at the gateway at once, and what is asked for them."""

    bounds: Bounds
    ahead: int = 4
    keep: bool = False
    priority: str = "routine"
    operating_point: str | None = None

    @property
    def query(self) -> dict[str, str]:
        point = {"operating_point": self.operating_point} if self.operating_point else {}
        return {"priority": self.priority, **point}


@dataclass
class Run:
    """A run's parts, and what is under way."""

    errands: Errands
    journal: Journal
    outputs: Outputs
    shown: Shown
    wishes: Wishes
    waiting: deque[Parcel] = field(default_factory=deque)
    sent: dict[str, Parcel] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)

    def plan(self, units: Sequence[Unit]) -> None:
        """What is still to be sent of these; a job that may have reached the gateway is sent again as it was."""
        left = {unit.fingerprint: unit for unit in units}
        for record in self.journal.records.values():
            held = [left.pop(name) for name in record.units if name in left]
            parcel = Parcel(tuple(held)) if len(held) == len(record.units) else None
            if record.open and parcel:
                self.sent[record.key] = parcel
            elif record.id is None and record.end is None:
                left |= self._again(record, parcel, held)
        self.waiting.extend(pack(list(left.values()), self.wishes.bounds))

    def _again(self, record: Record, parcel: Parcel | None, held: Sequence[Unit]) -> dict[str, Unit]:
        """Units that are free for other jobs, where the job can't be what it was and has no report yet."""
        if parcel:
            self.waiting.append(parcel)
            return {}
        if record.after >= 0:
            self._end(record, "lost")
            return {}
        self._end(record, "dropped", units=(), files=0)
        return {unit.fingerprint: unit for unit in held}

    def step(self) -> bool:
        """Do what can be done now; False when it changed nothing, and one may rest."""
        moved = False
        if self.waiting and len(self._open()) < self.wishes.ahead:
            self._send(self.waiting.popleft())
            moved = True
        for record in self._open():
            moved |= self._gather(record)
        self._tidy()
        return moved

    @property
    def done(self) -> bool:
        return not self.waiting and not self._open()

    def _open(self) -> list[Record]:
        return [record for record in self.journal.records.values() if record.open]

    def _send(self, parcel: Parcel) -> None:
        key = parcel.key(self.wishes.priority, self.wishes.operating_point)
        units = [unit.fingerprint for unit in parcel.units]
        self.journal.note(key, units=units, files=parcel.entries, end=None)
        self._show(f"sending {counted(len(parcel.files), 'file')}")
        try:
            job_id = self.errands.send(parcel, key, self.wishes.query, self.shown.sent)
        except Refused as refused:
            self._refuse(parcel, key, refused)
            return
        self.journal.note(key, id=job_id)
        self.sent[key] = parcel

    def _refuse(self, parcel: Parcel, key: str, refused: Refused) -> None:
        """Go on without the files that were named; without all where none was."""
        self._end(self.journal.records[key], "refused", units=(), files=0)
        bad = [unit for unit in parcel.units if any(refused.names(sendable(file.name)) for file in unit.files)]
        good = [unit for unit in parcel.units if bad and unit not in bad]
        if good:
            self.waiting.appendleft(Parcel(tuple(good)))
        for unit in bad or parcel.units:
            self.refused[unit.files[0].name] = refused.words
        count = sum(len(unit.files) for unit in bad or parcel.units)
        self.shown.say(f"{counted(count, 'file')} refused: {refused.words}")

    def _gather(self, record: Record) -> bool:
        """Write the reports that are ready; whether there was anything new."""
        document = self.errands.look(record.id or "")
        if document is None:
            self._lose(record)
            return True
        self.shares[record.key] = _share(document)
        moved = False
        cancelled = document["status"] == "cancelled"
        while cancelled or document["progress"]["series_done"] > record.after + 1:
            ready = self.errands.reports(document["id"], record.after, gaps=cancelled)
            if not ready:
                break
            self.outputs.write(document["id"], ready)
            self._show()
            failed = (*record.failed, *self._failed(document["id"], ready))
            record = self.journal.note(record.key, self.outputs.sync(), after=ready[-1][0], failed=failed)
            moved = True
        # A job that finished and does not give all its reports is going away: the next look finds out.
        if document["ended"] and (
            document["status"] != "finished" or record.after + 1 == document["progress"]["series"]
        ):
            self._finish(record, document)
            moved = True
        self._show()
        return moved

    def _failed(self, job_id: str, ready: Sequence[tuple[int, Mapping[str, Any]]]) -> Iterator[str]:
        """Series without a report, in words for the journal; those of the gateway, which may name files, for now."""
        for number, report in ready:
            if report["status"] == "failed":
                uid, problem = report["series"]["series_instance_uid"], report["problem"]
                words = f"series {number + 1} of job {job_id} ({uid or 'pictures'}): {problem['title']}"
                self.details[words] = problem["detail"]
                yield words

    def _finish(self, record: Record, document: Mapping[str, Any]) -> None:
        self.outputs.leave_out(document["id"], document["left_out"])
        sizes = self.outputs.sync()
        self._show()
        end = {name: document[name] for name in ("status", "counts", "left_out_total", "problem")}
        end |= {name: document.get(name, 0) for name in ("series_present", "series_with_warnings")}
        end["damaged"] = sum(file["code"] in UNUSABLE_FILES for file in document["left_out"])
        self.journal.note(record.key, sizes, end=end)
        if document["status"] != "finished":
            reason = (document["problem"] or {}).get("detail", _WHY_ENDED[document["status"]])
            self.shown.say(f"job {document['id']} {document['status']}: {reason}")
        for warning in document.get("warnings", ()):
            self.shown.say(f"job {document['id']}: {warning['detail']}")

    def _lose(self, record: Record) -> None:
        """The gateway has forgotten a job before its reports were here: send it again, as it was, or say so."""
        record = self.journal.note(record.key, id=None)
        if parcel := self.sent.pop(record.key, None):
            self.shown.say("the gateway has forgotten a job; it is sent again")
            self.waiting.append(parcel)
        else:
            self._end(record, "lost")

    def _end(self, record: Record, status: str, **changes: Any) -> None:
        self.journal.note(record.key, end={"status": status, "counts": {}, "left_out_total": 0}, **changes)

    def _tidy(self) -> None:
        """Remove from the gateway what is safely here."""
        for record in list(self.journal.records.values()):
            if record.end and record.id and not record.removed and not self.wishes.keep:
                self.errands.remove(record.id)
                self.journal.note(record.key, removed=True)

    def _show(self, words: str = "") -> None:
        ended = sum(record.files for record in self.journal.records.values() if record.end)
        under_way = sum(self.shares.get(record.key, 0.0) * record.files for record in self._open())
        self.shown.going_on(ended + under_way, words)


def _share(document: Mapping[str, Any]) -> float:
    progress = document["progress"]
    return progress["slices_done"] / progress["slices"] if progress["slices"] else 0.0
