"""Jobs on disk: what was sent, what is to be done, and what came of it. Every write is whole, durable and done once.

jobs/<sender>/<job>/manifest.json         what was accepted
jobs/<sender>/<job>/files/000001          its files, under numbers
jobs/<sender>/<job>/plan.json             its series
jobs/<sender>/<job>/claims/000012         the one report of series 12 ...
jobs/<sender>/<job>/reports/000012.failed.json   ... under a name that tells what became of it
jobs/<sender>/<job>/ended.json            when and how it ended
open/<priority>/<sender>/<job>            a job that is not at its end
keys/<sender>/<hash of an Idempotency-Key>
incoming/                                 uploads under way
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.common.card import OperatingPoint
from services.common.problems import NotFound, Problem
from services.gateway.jobs.schemas import OUTCOMES, EndStatus, Manifest, Outcome, Plan, Priority, StoredFile, now
from services.gateway.spool import Spool, SpoolFolder, UploadedFile

_PIECE_BYTES: Final = 1 << 20


class OtherContent(Problem):
    status = 409
    code = "idempotency_conflict"
    title = "This Idempotency-Key was used for other files"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a sender asks for beside the files."""

    sender: str
    priority: Priority
    operating_point: OperatingPoint
    idempotency_key: str | None = None
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended."""

    status: EndStatus
    at: str


class Job:
    """One job's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    def manifest(self) -> Manifest:
        """NotFound where the job is gone."""
        try:
            return Manifest.model_validate_json((self.path / "manifest.json").read_bytes())
        except FileNotFoundError:
            raise no_such_job() from None

    def files(self, manifest: Manifest, wanted: Sequence[int] | None = None) -> list[UploadedFile]:
        """The files of those numbers; all without."""
        chosen = manifest.files if wanted is None else [manifest.files[number] for number in wanted]
        return [UploadedFile(file.name, self.path / "files" / file.number, file.size) for file in chosen]

    def plan(self) -> Plan | None:
        """None before the job is planned."""
        try:
            return Plan.model_validate_json((self.path / "plan.json").read_bytes())
        except FileNotFoundError:
            return None

    def put_plan(self, plan: Plan) -> bool:
        """False where there is one already."""
        return write_once(self.path / "plan.json", plan.model_dump_json().encode())

    def put_report(self, number: int, outcome: Outcome, document: bytes) -> bool:
        """Keep a series' report; False where it has one, or the job is gone."""
        claim = self.path / "claims" / f"{number:06d}"
        try:
            first = write_once(claim, outcome.encode() + b"\n" + document)
            kept, _, report = claim.read_bytes().partition(b"\n")
            write_once(self.path / "reports" / f"{number:06d}.{kept.decode()}.json", report)
        except FileNotFoundError:
            return False
        return first

    def outcomes(self) -> dict[int, Outcome]:
        """What became of every series that has a report, in their order."""
        try:
            names = sorted(os.listdir(self.path / "reports"))  # noqa: PTH208 - ten thousand names, no objects
        except FileNotFoundError:
            return {}
        parts = (name.split(".") for name in names if not name.startswith("."))
        return {int(number): outcome for number, outcome, _ in parts if outcome in OUTCOMES}

    def report(self, number: int, outcome: Outcome) -> bytes:
        """NotFound where the job was cancelled meanwhile."""
        try:
            return (self.path / "reports" / f"{number:06d}.{outcome}.json").read_bytes()
        except FileNotFoundError:
            raise no_such_job() from None

    def ended(self) -> Ended | None:
        """None while there is work to do."""
        try:
            return Ended(**json.loads((self.path / "ended.json").read_bytes()))
        except FileNotFoundError:
            return None

    def end(self, status: EndStatus) -> bool:
        """Write down that it ended; False where it had ended before, or is gone."""
        try:
            return write_once(self.path / "ended.json", json.dumps({"status": status, "at": now()}).encode())
        except FileNotFoundError:
            return False


class JobStore:
    """All jobs. Gateways and workers share one folder; one gateway takes the uploads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = Spool(root / "incoming")

    def open(self) -> None:
        """Make the folders, and sweep what a crash left in the middle of an upload, which nobody was told of."""
        for name in ("jobs", "open", "keys"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.incoming.open()
        working = {path.name for path in (self.root / "open").glob("*/*/*")}
        for job in self._all():
            if job.id not in working and job.ended() is None:
                self.forget(job)

    def accept(self, folder: SpoolFolder, files: Sequence[UploadedFile], wishes: Wishes) -> tuple[Job, bool]:
        """Make a job of received files; when this returns, they are safe. The job, and whether it is a new one.

        Raises
        ------
        OtherContent
            the sender's Idempotency-Key stands for other files.
        OSError
            the disk is full, or broken: nothing was accepted.
        """
        digest = _digest(files, wishes) if wishes.idempotency_key else None
        if digest and (known := self._known(wishes, digest)):
            if known.ended() is None:
                self._mark_open(wishes.priority, known)  # where a crash came before it
            return known, False
        job = self._settle(folder, files, wishes, digest)
        if digest and not self._claim_key(wishes, job):
            other = self._known(wishes, digest)  # another request with this key was faster
            _remove(job.path)
            return (other, False) if other else self.accept(folder, files, wishes)
        self._mark_open(wishes.priority, job)
        return job, True

    def job(self, sender: str, job_id: str) -> Job:
        """NotFound where the sender has no such job."""
        if not job_id.isalnum() or not (path := self.root / "jobs" / sender / job_id).is_dir():
            raise no_such_job()
        return Job(path)

    def jobs(self, sender: str) -> list[Job]:
        """A sender's jobs, newest first."""
        return [Job(self.root / "jobs" / sender / name) for name in reversed(_names(self.root / "jobs" / sender))]

    def open_jobs(self, priority: Priority, sender: str) -> list[Job]:
        """A sender's jobs that are not at their end, oldest first."""
        return [Job(self.root / "jobs" / sender / name) for name in _names(self.root / "open" / priority / sender)]

    def senders(self, priority: Priority) -> list[str]:
        """Those who have open jobs, or had."""
        return _names(self.root / "open" / priority)

    def close(self, job: Job, priority: Priority, status: EndStatus) -> bool:
        """End a job; False where it had ended before."""
        first = job.end(status)
        (self.root / "open" / priority / job.path.parent.name / job.id).unlink(missing_ok=True)
        return first

    def cancel(self, job: Job, priority: Priority) -> None:
        """End a job and remove its files and reports at once; that it was there stays known."""
        self.close(job, priority, "cancelled")
        for name in ("files", "claims", "reports", "plan.json"):
            _remove(job.path / name)

    def forget(self, job: Job) -> None:
        """Remove everything of a job."""
        _remove(job.path)

    def sweep(self, ttl_s: float) -> int:
        """Forget jobs that ended longer ago than that; how many."""
        old = [job for job in self._all() if (ended := _age_s(job.path / "ended.json")) is not None and ended > ttl_s]
        for job in old:
            self.forget(job)
        for key in (self.root / "keys").glob("*/*"):
            if not (self.root / "jobs" / key.parent.name / key.read_text()).is_dir():
                key.unlink(missing_ok=True)
        return len(old)

    def _all(self) -> Iterator[Job]:
        return (Job(path) for path in (self.root / "jobs").glob("*/*"))

    def _settle(self, folder: SpoolFolder, files: Sequence[UploadedFile], wishes: Wishes, digest: str | None) -> Job:
        """Files and manifest to the disk, then to their place in one step."""
        job_id = f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"
        stored = tuple(StoredFile(name=file.name, number=file.path.name, size=file.size) for file in files)
        manifest = Manifest(
            id=job_id,
            sender=wishes.sender,
            priority=wishes.priority,
            operating_point=wishes.operating_point,
            created=now(),
            digest=digest,
            files=stored,
        )
        making = folder.path / "job"
        for name in ("files", "claims", "reports"):
            (making / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            _sync(file.path)
            file.path.rename(making / "files" / file.path.name)
        _write(making / "manifest.json", manifest.model_dump_json().encode())
        _sync(making / "files")
        _sync(making)
        place = self.root / "jobs" / wishes.sender
        place.mkdir(parents=True, exist_ok=True)
        making.rename(place / job_id)
        _sync(place)
        return Job(place / job_id)

    def _mark_open(self, priority: Priority, job: Job) -> None:
        """Only now may workers see it."""
        folder = self.root / "open" / priority / job.path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / job.id, b"")
        _sync(folder)

    def _key(self, wishes: Wishes) -> Path:
        hashed = hashlib.sha256((wishes.idempotency_key or "").encode()).hexdigest()
        return self.root / "keys" / wishes.sender / hashed

    def _claim_key(self, wishes: Wishes, job: Job) -> bool:
        key = self._key(wishes)
        key.parent.mkdir(parents=True, exist_ok=True)
        return write_once(key, job.id.encode())

    def _known(self, wishes: Wishes, digest: str) -> Job | None:
        """The job that this key stands for already."""
        key = self._key(wishes)
        try:
            job = self.job(wishes.sender, key.read_text())
        except FileNotFoundError:
            return None
        except NotFound:
            key.unlink(missing_ok=True)  # its job was forgotten
            return None
        if job.manifest().digest != digest:
            raise OtherContent("send another key with other files")
        return job


def no_such_job() -> NotFound:
    """For a job that is not there, or is another sender's."""
    return NotFound("there is no such job; jobs are forgotten some time after their end")


def write_once(path: Path, content: bytes) -> bool:
    """Write a file whole and durably, or leave the one that is there; whether it was written."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write(part, content)
        os.link(part, path)
    except FileExistsError:
        return False
    finally:
        part.unlink(missing_ok=True)
    _sync(path.parent)
    return True


def is_full(error: OSError) -> bool:
    """Whether a disk has no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    """What was written to a file or folder reaches the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(files: Sequence[UploadedFile], wishes: Wishes) -> str:
    """Of names, contents and wishes, in the order sent."""
    whole = hashlib.sha256(f"{wishes.priority} {wishes.operating_point} {wishes.webhook}".encode())
    for file in files:
        content = hashlib.sha256()
        with file.path.open("rb") as opened:
            while piece := opened.read(_PIECE_BYTES):
                content.update(piece)
        whole.update(json.dumps([file.name, content.hexdigest()]).encode())
    return whole.hexdigest()


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names, no objects
    except FileNotFoundError:
        return []


def _age_s(path: Path) -> float | None:
    with suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime
    return None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
