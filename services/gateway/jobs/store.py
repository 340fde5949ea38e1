"""All jobs: what is on the shelf is the truth, and Redis can be emptied without a loss.

jobs/<sender>/<job>/...         see `job.py`
open/<priority>/<sender>/<job>  a job that is not at its end
keys/<sender>/<hash of an Idempotency-Key>
incoming/                       uploads under way, always on this machine
"""

import hashlib
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from services.common.clock import now
from services.common.operating_points import OperatingPoint
from services.common.problems import NotFound
from services.gateway.jobs.fsspec_storage import RemoteShelf
from services.gateway.jobs.idempotency import OtherContent, check_same, digests, webhook_digest
from services.gateway.jobs.job import FILES, MANIFEST, Job, no_such_job
from services.gateway.jobs.schemas import EndStatus, Manifest, Priority, StoredFile
from services.gateway.jobs.storage import LocalShelf, Shelf
from services.gateway.spool import Spool, SpoolFolder, UploadedFile


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a sender asks for beside the files."""

    sender: str
    priority: Priority
    operating_point: OperatingPoint
    idempotency_key: str | None = None
    webhook: str | None = None


class JobStore:
    """All jobs. Gateways and workers share one shelf; one gateway takes the uploads."""

    def __init__(self, shelf: Shelf, incoming: Spool) -> None:
        self.shelf = shelf
        self.incoming = incoming

    @classmethod
    def at(cls, folder: Path, url: str | None = None) -> "JobStore":
        """In a folder; or at an fsspec address, with the folder for what is under way."""
        shelf = RemoteShelf(url, folder / "fetched") if url else LocalShelf(folder)
        return cls(shelf, Spool(folder / "incoming"))

    def open(self) -> None:
        """Sweep what a crash left in the middle of an upload, which nobody was told of."""
        self.incoming.open()
        self.shelf.sweep()
        working = {place.rpartition("/")[2] for place in self._below("open", 3)}
        for job in self._all():
            if job.id not in working and job.ended() is None:
                job.remove()

    def accept(self, folder: SpoolFolder, files: Sequence[UploadedFile], wishes: Wishes) -> tuple[Job, bool]:
        """Make a job of received files; when this returns, they are safe. The job, and whether it is a new one.

        Raises
        ------
        OtherContent
            the sender's Idempotency-Key stands for other files or options.
        OSError
            the disk is full, or broken: nothing was accepted.
        """
        job = self._new(wishes.sender)
        manifest = _manifest(job, files, wishes)
        if known := self._known(wishes, manifest):
            return self._again(known, wishes), False
        try:
            self._settle(job, folder, files, manifest)
            if faster := self._claim_key(wishes, job, manifest):
                job.remove()
                return self._again(faster, wishes), False
            self._mark_open(wishes.priority, job)
        except (OSError, OtherContent):
            job.remove()
            raise
        return job, True

    def job(self, sender: str, job_id: str) -> Job:
        """NotFound where the sender has no such job."""
        job = Job(self.shelf, sender, job_id)
        if not job_id.isalnum() or not job.is_there():
            raise no_such_job()
        return job

    def jobs(self, sender: str) -> list[Job]:
        """A sender's jobs, newest first."""
        return [Job(self.shelf, sender, name) for name in reversed(self.shelf.names(f"jobs/{sender}"))]

    def open_jobs(self, priority: Priority, sender: str) -> list[Job]:
        """A sender's jobs that are not at their end, oldest first."""
        return [Job(self.shelf, sender, name) for name in self.shelf.names(f"open/{priority}/{sender}")]

    def senders(self, priority: Priority) -> list[str]:
        """Those who have open jobs, or had."""
        return self.shelf.names(f"open/{priority}")

    def close(self, job: Job, priority: Priority, status: EndStatus) -> bool:
        """End a job; False where it had ended before."""
        first = job.end(status)
        self.unmark(job, priority)
        return first

    def unmark(self, job: Job, priority: Priority) -> None:
        """Let no worker see it any more."""
        self.shelf.remove(f"open/{priority}/{job.sender}/{job.id}")

    def cancel(self, job: Job, priority: Priority) -> None:
        """End a job and remove its files at once; finished reports stay until it is forgotten."""
        self.close(job, priority, "cancelled")
        job.clear()

    def sweep(self, ttl_s: float) -> int:
        """Forget jobs that ended longer ago than that; how many."""
        old = [job for job in self._all() if (ended := job.ended()) and _age_s(ended.at) > ttl_s]
        for job in old:
            job.remove()
        for key in self._below("keys", 2):
            with suppress(FileNotFoundError):
                if not Job(self.shelf, key.split("/")[1], self.shelf.get(key).decode()).is_there():
                    self.shelf.remove(key)
        return len(old)

    def _below(self, place: str, levels: int) -> Iterator[str]:
        if levels == 0:
            yield place
            return
        for name in self.shelf.names(place):
            yield from self._below(f"{place}/{name}", levels - 1)

    def _all(self) -> Iterator[Job]:
        for place in self._below("jobs", 2):
            _, sender, job_id = place.split("/")
            yield Job(self.shelf, sender, job_id)

    def _new(self, sender: str) -> Job:
        """Ids are in the order of their times."""
        return Job(self.shelf, sender, f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}")

    def _settle(self, job: Job, folder: SpoolFolder, files: Sequence[UploadedFile], manifest: Manifest) -> None:
        """Files and manifest to their place, and to the disk."""
        stored = (StoredFile(name=file.name, number=file.path.name, size=file.size) for file in files)
        making = folder.path / "job"
        (making / FILES).mkdir(parents=True)
        for file in files:
            file.path.rename(making / FILES / file.path.name)
        (making / MANIFEST).write_text("\n".join(line.model_dump_json() for line in (manifest, *stored)))
        self.shelf.take_in(making, job.place)

    def _claim_key(self, wishes: Wishes, job: Job, manifest: Manifest) -> Job | None:
        """Let the sender's key stand for this job; the job of another request with this key that was faster."""
        while wishes.idempotency_key and not self.shelf.put_once(_key(wishes), job.id.encode()):
            if other := self._known(wishes, manifest):
                return other
        return None

    def _again(self, job: Job, wishes: Wishes) -> Job:
        """A job that was accepted before; where a crash came before its mark was made, it is made now."""
        if job.ended() is None:
            self._mark_open(wishes.priority, job)
        return job

    def _mark_open(self, priority: Priority, job: Job) -> None:
        """Only now may workers see it."""
        self.shelf.put_once(f"open/{priority}/{job.sender}/{job.id}", b"")

    def _known(self, wishes: Wishes, manifest: Manifest) -> Job | None:
        """The job that this key stands for already; OtherContent where that is another one."""
        if not wishes.idempotency_key:
            return None
        key = _key(wishes)
        try:
            job = self.job(wishes.sender, self.shelf.get(key).decode())
            first = job.manifest()
        except FileNotFoundError:
            return None
        except NotFound:
            self.shelf.remove(key)  # its job was forgotten
            return None
        check_same(first, manifest)
        return job


def _manifest(job: Job, files: Sequence[UploadedFile], wishes: Wishes) -> Manifest:
    options = (wishes.priority, wishes.operating_point, wishes.webhook)
    return Manifest(
        id=job.id,
        sender=wishes.sender,
        priority=wishes.priority,
        operating_point=wishes.operating_point,
        created=now(),
        files=len(files),
        webhook_digest=webhook_digest(wishes.webhook),
        **(digests(files, *options) if wishes.idempotency_key else {}),
    )


def _key(wishes: Wishes) -> str:
    hashed = hashlib.sha256((wishes.idempotency_key or "").encode()).hexdigest()
    return f"keys/{wishes.sender}/{hashed}"


def _age_s(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
