"""One run: sends new units, writes the reports that are ready, and may be interrupted at any time."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from services.common.file_codes import UNUSABLE_FILES
from services.gateway.batch.jobs_client import JobsClient
from services.gateway.batch.journal import Journal, Record
from services.gateway.batch.outputs import Outputs
from services.gateway.batch.uploads import JobLimits, Unit, Upload, pack_uploads
from services.gateway.client import RequestRefused, pluralize
from services.gateway.client_files import utf8_name

_POLL_S: Final = 1.0
_END_REASONS: Final = {
    "failed": "its files form no series",
    "cancelled": "it was cancelled at the gateway; its finished reports are kept here",
}


class Progress(Protocol):
    """Shows a run to its user."""

    def update(self, files: float, activity: str) -> None:
        """Set the number of files that are done."""

    def add_sent_bytes(self, count: int) -> None:
        """Add to the number of bytes that are sent."""

    def log(self, message: str) -> None:
        """Print a line that stays."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Size of a job, number of open jobs, and the jobs' own options."""

    limits: JobLimits
    max_open_jobs: int = 4
    keep: bool = False
    priority: str = "routine"
    operating_point: str | None = None

    @property
    def query(self) -> dict[str, str]:
        point = {"operating_point": self.operating_point} if self.operating_point else {}
        return {"priority": self.priority, "source": "batch", **point}


@dataclass
class Run:
    """The parts of a run, and its state.

    pending : uploads to send
    submitted : uploads of open jobs, by idempotency key
    refused : reasons of the gateway, by name of a unit's first file
    details : details of failed series, by their line in the journal
    fractions : finished part of each open job, 0..1, by idempotency key
    """

    jobs: JobsClient
    journal: Journal
    outputs: Outputs
    progress: Progress
    options: RunOptions
    pending: deque[Upload] = field(default_factory=deque)
    submitted: dict[str, Upload] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    fractions: dict[str, float] = field(default_factory=dict)

    def complete(self, units: Sequence[Unit]) -> None:
        """Send all units, and write all reports."""
        self.plan(units)
        while self.pending or self._open():
            if not self.step():
                self.jobs.gateway.sleep(_POLL_S)
        self.step()

    def plan(self, units: Sequence[Unit]) -> None:
        """Queue the uploads of units that are not done. A job that the gateway may have is sent again unchanged."""
        left = {unit.fingerprint: unit for unit in units}
        for record in self.journal.records.values():
            found = [left.pop(name) for name in record.units if name in left]
            upload = Upload(tuple(found)) if len(found) == len(record.units) else None
            if record.open and upload:
                self.submitted[record.key] = upload
            elif record.id is None and record.end is None:
                left |= self._resubmit(record, upload, found)
        self.pending.extend(pack_uploads(list(left.values()), self.options.limits))

    def _resubmit(self, record: Record, upload: Upload | None, found: Sequence[Unit]) -> dict[str, Unit]:
        """Queue the same upload again. If its files have changed, return the units that other jobs may take."""
        if upload:
            self.pending.append(upload)
            return {}
        if record.after >= 0:
            self._end(record, "lost")
            return {}
        self._end(record, "dropped", units=(), files=0)
        return {unit.fingerprint: unit for unit in found}

    def step(self) -> bool:
        """Send one upload and fetch reports; False where nothing changed."""
        changed = False
        if self.pending and len(self._open()) < self.options.max_open_jobs:
            self._submit(self.pending.popleft())
            changed = True
        for record in self._open():
            changed |= self._fetch(record)
        self._delete_ended()
        return changed

    def _open(self) -> list[Record]:
        return [record for record in self.journal.records.values() if record.open]

    def _submit(self, upload: Upload) -> None:
        key = upload.idempotency_key(self.options.priority, self.options.operating_point)
        units = [unit.fingerprint for unit in upload.units]
        self.journal.update(key, units=units, files=upload.entries, end=None)
        self._show(f"sending {pluralize(len(upload.files), 'file')}")
        try:
            job_id = self.jobs.create(upload, key, self.options.query, self.progress.add_sent_bytes)
        except RequestRefused as refused:
            self._skip_refused(upload, key, refused)
            return
        self.journal.update(key, id=job_id)
        self.submitted[key] = upload

    def _skip_refused(self, upload: Upload, key: str, error: RequestRefused) -> None:
        """Queue the upload without the files that the gateway named; drop it where it named none."""
        self._end(self.journal.records[key], "refused", units=(), files=0)
        bad = [unit for unit in upload.units if any(error.names_file(utf8_name(file.name)) for file in unit.files)]
        good = [unit for unit in upload.units if bad and unit not in bad]
        if good:
            self.pending.appendleft(Upload(tuple(good)))
        for unit in bad or upload.units:
            self.refused[unit.files[0].name] = str(error)
        count = sum(len(unit.files) for unit in bad or upload.units)
        self.progress.log(f"{pluralize(count, 'file')} refused: {error}")

    def _fetch(self, record: Record) -> bool:
        """Write the reports that are ready; whether anything changed."""
        document = self.jobs.get(record.id or "")
        if document is None:
            self._resend_deleted(record)
            return True
        self.fractions[record.key] = _fraction(document)
        before, record = record.after, self._write_reports(record, document)
        # A finished job without all its reports is being deleted: the next request finds that out.
        ended = document["ended"] and (
            document["status"] != "finished" or record.after + 1 == document["progress"]["series"]
        )
        if ended:
            self._finish(record, document)
        self._show()
        return bool(ended) or record.after > before

    def _write_reports(self, record: Record, document: Mapping[str, Any]) -> Record:
        cancelled = document["status"] == "cancelled"
        while cancelled or document["progress"]["series_done"] > record.after + 1:
            ready = self.jobs.reports(document["id"], record.after, gaps=cancelled)
            if not ready:
                break
            self.outputs.write(document["id"], ready)
            self._show()
            failed = (*record.failed, *self._failed_series(document["id"], ready))
            record = self.journal.update(record.key, self.outputs.sync(), after=ready[-1][0], failed=failed)
        return record

    def _failed_series(self, job_id: str, ready: Sequence[tuple[int, Mapping[str, Any]]]) -> Iterator[str]:
        """A line for the journal for each failed series. Details may name files, so they are kept in memory only."""
        for number, report in ready:
            if report["status"] == "failed":
                uid, problem = report["series"]["series_instance_uid"], report["problem"]
                line = f"series {number + 1} of job {job_id} ({uid or 'pictures'}): {problem['title']}"
                self.details[line] = problem["detail"]
                yield line

    def _finish(self, record: Record, document: Mapping[str, Any]) -> None:
        self.outputs.write_left_out(document["id"], document["left_out"])
        sizes = self.outputs.sync()
        self._show()
        end = {name: document[name] for name in ("status", "counts", "left_out_total", "problem")}
        end |= {name: document.get(name, 0) for name in ("series_present", "series_with_warnings")}
        end["damaged"] = sum(file["code"] in UNUSABLE_FILES for file in document["left_out"])
        self.journal.update(record.key, sizes, end=end)
        if document["status"] != "finished":
            reason = (document["problem"] or {}).get("detail", _END_REASONS[document["status"]])
            self.progress.log(f"job {document['id']} {document['status']}: {reason}")
        for warning in document.get("warnings", ()):
            self.progress.log(f"job {document['id']}: {warning['detail']}")

    def _resend_deleted(self, record: Record) -> None:
        """Queue a job again that the gateway deleted before all its reports were written; else record the loss."""
        record = self.journal.update(record.key, id=None)
        if upload := self.submitted.pop(record.key, None):
            self.progress.log("the gateway has deleted a job before its reports were read; sending it again")
            self.pending.append(upload)
        else:
            self._end(record, "lost")

    def _end(self, record: Record, status: str, **changes: Any) -> None:
        self.journal.update(record.key, end={"status": status, "counts": {}, "left_out_total": 0}, **changes)

    def _delete_ended(self) -> None:
        """Delete jobs from the gateway whose reports are on this disk."""
        for record in list(self.journal.records.values()):
            if record.end and record.id and not record.removed and not self.options.keep:
                self.jobs.delete(record.id)
                self.journal.update(record.key, removed=True)

    def _show(self, activity: str = "") -> None:
        ended = sum(record.files for record in self.journal.records.values() if record.end)
        running = sum(self.fractions.get(record.key, 0.0) * record.files for record in self._open())
        self.progress.update(ended + running, activity)


def _fraction(document: Mapping[str, Any]) -> float:
    progress = document["progress"]
    return progress["slices_done"] / progress["slices"] if progress["slices"] else 0.0
