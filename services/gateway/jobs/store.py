"""All jobs: what is on the storage is the truth, and Redis can be emptied without a loss.

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

from services.common.operating_points import OperatingPoint
from services.common.problems import NotFound
from services.common.timestamps import utc_now
from services.gateway.jobs.fsspec_storage import FsspecStorage
from services.gateway.jobs.idempotency import IdempotencyConflict, check_same, digests, webhook_digest
from services.gateway.jobs.job import FILES, MANIFEST, Job, job_not_found
from services.gateway.jobs.schemas import FinalStatus, Manifest, Priority, StoredFile
from services.gateway.jobs.storage import LocalStorage, Storage
from services.gateway.spool import Spool, SpoolFolder, UploadedFile


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What a sender asks for beside the files."""

    sender: str
    priority: Priority
    operating_point: OperatingPoint
    idempotency_key: str | None = None
    webhook: str | None = None


class JobStore:
    """All jobs. Gateways and workers share one storage; one gateway takes the uploads."""

    def __init__(self, storage: Storage, incoming: Spool) -> None:
        self.storage = storage
        self.incoming = incoming

    @classmethod
    def at(cls, folder: Path, url: str | None = None) -> "JobStore":
        """In a folder; or at an fsspec address, with the folder for what is under way."""
        storage = FsspecStorage(url, folder / "fetched") if url else LocalStorage(folder)
        return cls(storage, Spool(folder / "incoming"))

    def recover(self) -> None:
        """Sweep what a crash left in the middle of an upload, which nobody was told of."""
        self.incoming.open()
        self.storage.sweep()
        working = {place.rpartition("/")[2] for place in self._walk("open", 3)}
        for job in self._all():
            if job.id not in working and job.ended() is None:
                job.remove()

    def accept(self, folder: SpoolFolder, files: Sequence[UploadedFile], options: JobOptions) -> tuple[Job, bool]:
        """Make a job of received files; when this returns, they are safe. The job, and whether it is a new one.

        Raises
        ------
        IdempotencyConflict
            the sender's Idempotency-Key stands for other files or options.
        OSError
            the disk is full, or broken: nothing was accepted.
        """
        job = self._new(options.sender)
        manifest = _manifest(job, files, options)
        if known := self._find_existing(options, manifest):
            return self._resume(known, options), False
        try:
            self._store_files(job, folder, files, manifest)
            if faster := self._claim_idempotency_key(options, job, manifest):
                job.remove()
                return self._resume(faster, options), False
            self.mark_open(options.priority, job)
        except (OSError, IdempotencyConflict):
            job.remove()
            raise
        return job, True

    def job(self, sender: str, job_id: str) -> Job:
        """NotFound where the sender has no such job."""
        job = Job(self.storage, sender, job_id)
        if not job_id.isalnum() or not job.exists():
            raise job_not_found()
        return job

    def jobs(self, sender: str) -> list[Job]:
        """A sender's jobs, newest first."""
        return [Job(self.storage, sender, name) for name in reversed(self.storage.names(f"jobs/{sender}"))]

    def open_jobs(self, priority: Priority, sender: str) -> list[Job]:
        """A sender's jobs that are not at their end, oldest first."""
        return [Job(self.storage, sender, name) for name in self.storage.names(f"open/{priority}/{sender}")]

    def senders(self, priority: Priority) -> list[str]:
        """Those who have open jobs, or had."""
        return self.storage.names(f"open/{priority}")

    def close(self, job: Job, priority: Priority, status: FinalStatus) -> bool:
        """End a job; False where it had ended before."""
        first = job.end(status)
        self.unmark_open(job, priority)
        return first

    def unmark_open(self, job: Job, priority: Priority) -> None:
        """Let no worker see it any more."""
        self.storage.remove(f"open/{priority}/{job.sender}/{job.id}")

    def cancel(self, job: Job, priority: Priority) -> None:
        """End a job and remove its files at once; finished reports stay until it is forgotten."""
        self.close(job, priority, "cancelled")
        job.clear()

    def remove_expired(self, ttl_s: float) -> int:
        """Forget jobs that ended longer ago than that; how many."""
        old = [job for job in self._all() if (ended := job.ended()) and _age_s(ended.at) > ttl_s]
        for job in old:
            job.remove()
        for key in self._walk("keys", 2):
            with suppress(FileNotFoundError):
                if not Job(self.storage, key.split("/")[1], self.storage.get(key).decode()).exists():
                    self.storage.remove(key)
        return len(old)

    def _walk(self, place: str, levels: int) -> Iterator[str]:
        if levels == 0:
            yield place
            return
        for name in self.storage.names(place):
            yield from self._walk(f"{place}/{name}", levels - 1)

    def _all(self) -> Iterator[Job]:
        for place in self._walk("jobs", 2):
            _, sender, job_id = place.split("/")
            yield Job(self.storage, sender, job_id)

    def _new(self, sender: str) -> Job:
        """Ids are in the order of their times."""
        return Job(self.storage, sender, f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}")

    def _store_files(self, job: Job, folder: SpoolFolder, files: Sequence[UploadedFile], manifest: Manifest) -> None:
        """Files and manifest to their place, and to the disk."""
        stored = (StoredFile(name=file.name, number=file.path.name, size=file.size) for file in files)
        making = folder.path / "job"
        (making / FILES).mkdir(parents=True)
        for file in files:
            file.path.rename(making / FILES / file.path.name)
        (making / MANIFEST).write_text("\n".join(line.model_dump_json() for line in (manifest, *stored)))
        self.storage.store_folder(making, job.place)

    def _claim_idempotency_key(self, options: JobOptions, job: Job, manifest: Manifest) -> Job | None:
        """Let the sender's key stand for this job; the job of another request with this key that was faster."""
        while options.idempotency_key and not self.storage.create(_key(options), job.id.encode()):
            if other := self._find_existing(options, manifest):
                return other
        return None

    def _resume(self, job: Job, options: JobOptions) -> Job:
        """A job that was accepted before; where a crash came before its mark was made, it is made now."""
        if job.ended() is None:
            self.mark_open(options.priority, job)
        return job

    def mark_open(self, priority: Priority, job: Job) -> None:
        """Only now may workers see it."""
        self.storage.create(f"open/{priority}/{job.sender}/{job.id}", b"")

    def _find_existing(self, options: JobOptions, manifest: Manifest) -> Job | None:
        """The job that this key stands for already; IdempotencyConflict where that is another one."""
        if not options.idempotency_key:
            return None
        key = _key(options)
        try:
            job = self.job(options.sender, self.storage.get(key).decode())
            first = job.manifest()
        except FileNotFoundError:
            return None
        except NotFound:
            self.storage.remove(key)  # its job was forgotten
            return None
        check_same(first, manifest)
        return job


def _manifest(job: Job, files: Sequence[UploadedFile], options: JobOptions) -> Manifest:
    digested = (options.priority, options.operating_point, options.webhook)
    return Manifest(
        id=job.id,
        sender=options.sender,
        priority=options.priority,
        operating_point=options.operating_point,
        created=utc_now(),
        files=len(files),
        webhook_digest=webhook_digest(options.webhook),
        **(digests(files, *digested) if options.idempotency_key else {}),
    )


def _key(options: JobOptions) -> str:
    hashed = hashlib.sha256((options.idempotency_key or "").encode()).hexdigest()
    return f"keys/{options.sender}/{hashed}"


def _age_s(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
