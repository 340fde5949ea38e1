"""All jobs in one storage, which alone holds their state: Redis may be emptied without a loss.

jobs/<sender>/<job>/...         files of a job, see `job.py`
open/<priority>/<sender>/<job>  marks a job that has not ended
keys/<sender>/<hash>            idempotency keys, see `idempotency.py`
feedback/<sender>/<job>         marks a job with readers' opinions, see `feedback/opinions.py`
hooks/<sender>/<job>            pending webhooks, see `webhook_delivery.py`
clock/<milliseconds>            the retention clock, see `retention.py`
patient/key                     key of patients' hashes, see `patient_key.py`
owner/...                       the gateway that owns a network folder, see `storage_lease.py`
gateways/...                    the gateways that share an object storage, see `membership.py`
receiving/<sender>/<job>/...    uploads in progress of such gateways, see `pending_uploads.py`
incoming/                       uploads in progress, always in a local folder
worklist/                       the worklist's index, always in a local folder
"""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.common.operating_points import OperatingPoint
from services.common.private_folder import FOLDER_MODE, open_private
from services.common.problems import NotFound
from services.common.timestamps import utc_now
from services.gateway.jobs.idempotency import IdempotencyConflict, IdempotencyKeys, digests, key_path, webhook_digest
from services.gateway.jobs.job import FILES, MANIFEST, SOURCE, Job, JobEnd, JobEnded, job_not_found
from services.gateway.jobs.lease import Lease, LeaseCheck, SoleGateway
from services.gateway.jobs.membership import Membership
from services.gateway.jobs.object_storage import ObjectStorage
from services.gateway.jobs.pending_uploads import PendingUploads, SharedUploads, SoleUploads, UploadAborted
from services.gateway.jobs.schemas import PRIORITIES, FinalStatus, JobSource, Manifest, Priority, StoredFile
from services.gateway.jobs.storage import LocalStorage, Storage
from services.gateway.uploads.spool import Spool, SpoolFolder, UploadedFile

_MAX_ID_LENGTH: Final = 64  # file systems refuse long names
_FEEDBACK: Final = "feedback"
WORKLIST: Final = "worklist"  # in the folder of jobs: the worklist's index, which can be made again
COPIES: Final = "fetched"  # in the folder of jobs: copies of files in an object storage, while they are read
RESTORING: Final = ".restoring"  # in the folder of jobs, while a backup is restored


class UnfinishedRestore(Exception):
    """A restore into the folder of jobs runs, or was interrupted."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """Options of a request for a job, and its sender.

    keep_blood : the site's setting, where `blood` is None
    """

    sender: str
    priority: Priority
    operating_point: OperatingPoint
    idempotency_key: str | None = None
    webhook: str | None = None
    blood: bool | None = None
    key_images: bool = False
    source: JobSource = "upload"
    keep_blood: bool = False


class JobStore:
    """All jobs. Gateways and workers share the storage; one gateway owns the folder of uploads in progress.

    Parameters
    ----------
    membership
        this gateway among others on the storage; without it, no other gateway shares the storage
    """

    def __init__(self, storage: Storage, incoming: Spool, membership: Membership | None = None) -> None:
        self.storage = storage
        self.incoming = incoming
        self.membership = membership
        self.lease: Lease = membership or SoleGateway()
        self.uploads: PendingUploads = SharedUploads(storage, membership) if membership else SoleUploads()
        self.progressed: Callable[[Job], object] = lambda _: None  # gets each job that a worker processed
        self._idempotency_keys = IdempotencyKeys(storage)
        self._ends: dict[str, JobEnd] = {}  # of ended jobs, which stay ended, by the job's key

    @classmethod
    def at(cls, folder: Path, url: str | None = None) -> "JobStore":
        """In a local folder, or in an object storage with the folder for temporary files."""
        storage = ObjectStorage(url, folder / COPIES) if url else LocalStorage(folder)
        membership = Membership(storage) if url else None
        return cls(storage, Spool(folder / "incoming", "ICH_GATEWAY_JOBS_DIR"), membership)

    def recover(self) -> None:
        """Remove what a crash of this gateway left: uploads in progress, copies, and jobs whose senders got no 202.

        In a shared storage the holder of the lease removes the jobs.

        Raises
        ------
        UnfinishedRestore
            the jobs are not all there
        """
        if self.storage.exists(RESTORING):
            raise UnfinishedRestore("a backup is being restored into ICH_GATEWAY_JOBS_DIR, or was: repeat the restore")
        self.incoming.open()
        self.storage.remove_leftovers()
        if self.membership is None:
            self.remove_orphans()

    def settle_uploads(self, *, all_gateways: bool) -> None:
        """Remove half uploads that this gateway could not remove; with the lease, those of dead gateways too."""
        if self.membership:
            self.uploads.settle(self.is_accepted, all_gateways=all_gateways)

    def remove_orphans(self) -> None:
        """Remove jobs that no gateway accepted, and is storing. Mark accepted jobs open that have lost their mark.

        An upload has its own mark until the job's open mark is there. So the jobs are listed first, and the open marks
        last.
        """
        jobs = list(self.all_jobs())
        marked = self.uploads.ids() | {key.rpartition("/")[2] for key in self._walk("open", 3)}
        for job in LeaseCheck(self.lease).each(jobs):
            if job.id in marked or self._end_of(job):
                continue
            if job.is_in_use():
                self.mark_open(job.priority(), job)
            else:
                self.uploads.abort(job, self.is_accepted)  # looks for its mark once more: a listing may be incomplete

    def accept(self, folder: SpoolFolder, files: Sequence[UploadedFile], options: JobOptions) -> tuple[Job, bool]:
        """Store received files durably as a job: the job, and whether it is new.

        Raises
        ------
        IdempotencyConflict
            the Idempotency-Key belongs to a job of other files or options
        UploadAborted
            another gateway counted this one as dead; nothing was accepted
        OSError
            the disk is full or broken; nothing was accepted
        """
        sender, key = options.sender, options.idempotency_key
        job = self._new_job(sender)
        manifest = _manifest(job, files, options)
        if key and (existing := self._idempotency_keys.find(sender, key, manifest)):
            return self._reopen(existing), False
        with self.uploads.storing(job, key_path(sender, key) if key else None):
            try:
                self._store_files(job, folder, files, manifest, options.source)
                self.uploads.check(job)
                if key and (existing := self._idempotency_keys.claim(sender, key, job, manifest)):
                    self._abort(job)
                    return self._reopen(existing), False
                self.mark_open(options.priority, job)
                self.uploads.check(job)
            except (OSError, IdempotencyConflict, UploadAborted):
                self._abort(job)
                raise
            with suppress(OSError):  # `settle` repeats it
                self.uploads.end(job)
        return job, True

    def _abort(self, job: Job) -> None:
        """Remove a job that is not accepted. Where that fails, `settle` repeats it, or the next start."""
        with suppress(OSError):
            self.uploads.abort(job, self.is_accepted)

    def is_accepted(self, job: Job) -> bool:
        """Whether a job is marked open, has ended, or is in use: its mark may move while it is looked for."""
        marked = any(self.storage.exists(_open_key(priority, job)) for priority in PRIORITIES)
        return marked or bool(job.ended()) or job.is_in_use()

    def job(self, sender: str, job_id: str) -> Job:
        """A sender's job; NotFound where the sender has no such job."""
        job = Job(self.storage, sender, job_id)
        if not job_id.isalnum() or len(job_id) > _MAX_ID_LENGTH or not job.exists():
            raise job_not_found()
        return job

    def find(self, job_id: str) -> Job:
        """The job of any sender; NotFound where there is none."""
        for sender in self.storage.names("jobs"):
            with suppress(NotFound):
                return self.job(sender, job_id)
        raise job_not_found()

    def jobs(self, sender: str) -> list[Job]:
        """A sender's jobs, newest first."""
        return [Job(self.storage, sender, name) for name in reversed(self.storage.names(f"jobs/{sender}"))]

    def open_jobs(self, priority: Priority, sender: str) -> list[Job]:
        """A sender's jobs that have not ended, oldest first."""
        return [Job(self.storage, sender, name) for name in self.storage.names(f"open/{priority}/{sender}")]

    def senders(self, priority: Priority) -> list[str]:
        """Senders that have open jobs, or had some."""
        return self.storage.names(f"open/{priority}")

    def mark_open(self, priority: Priority, job: Job) -> None:
        """Make a job visible to workers."""
        self.storage.create(_open_key(priority, job), b"")

    def unmark_open(self, priority: Priority, job: Job) -> None:
        """Hide a job from workers."""
        self.storage.remove(_open_key(priority, job))

    def mark_feedback(self, job: Job) -> None:
        """List a job among those with readers' opinions."""
        self.storage.create(f"{_FEEDBACK}/{job.sender}/{job.id}", b"")

    def jobs_with_feedback(self, sender: str | None) -> Iterator[Job]:
        """The jobs of a sender, or of all senders for None, that have readers' opinions, or had some."""
        for name in self.storage.names(_FEEDBACK) if sender is None else [sender]:
            for job_id in self.storage.names(f"{_FEEDBACK}/{name}"):
                yield Job(self.storage, name, job_id)

    def change_priority(self, job: Job, priority: Priority) -> None:
        """Move an open job to the lanes of a priority; a series in progress is finished where it is.

        A job without a mark would be lost, so the new mark comes first. After a crash the job may have two marks: two
        lanes may then assess one series, and one report is stored. Of two changes at the same time, in any gateways,
        each looks again after it removed a mark: the one that looks last leaves the mark of the latest priority.

        Raises
        ------
        JobEnded
            there is nothing left to process
        NotFound
            the job was deleted meanwhile
        """
        if job.ended():
            raise JobEnded("all its series are done, or it was cancelled: its priority has no effect any more")
        if job.priority() != priority:
            self.mark_open(priority, job)
            job.create_priority(priority)
        while not self._has_one_mark(job):
            pass

    def _has_one_mark(self, job: Job) -> bool:
        """Leave the mark of the present priority only; False where another change came in between."""
        present = job.priority()
        self.mark_open(present, job)
        for other in PRIORITIES:
            if other != present:
                self.unmark_open(other, job)
        return job.priority() == present and self.storage.exists(_open_key(present, job))

    def close(self, job: Job, priority: Priority, status: FinalStatus) -> bool:
        """End a job; False where it had ended before."""
        first = job.end(status)
        self.unmark_open(priority, job)
        return first

    def cancel(self, job: Job, priority: Priority) -> None:
        """End a job and remove its files; finished reports stay until the job is deleted."""
        self.close(job, priority, "cancelled")
        job.remove_files()

    def remove_expired(self, is_expired: Callable[[Job, JobEnd], bool]) -> Iterator[Job]:
        """Delete the ended jobs for which this is true, and orphaned keys and marks; yield each deleted job.

        Raises
        ------
        LeaseLost
            another gateway may do it from now on
        """
        held = LeaseCheck(self.lease)
        keys, reviewed = list(self._walk("keys", 2)), list(self.jobs_with_feedback(None))
        jobs = {job.key: job for job in self.all_jobs()}  # listed after what belongs to them
        self._ends = {key: end for key, end in self._ends.items() if key in jobs}
        expired = [job for job in held.each(jobs.values()) if (end := self._end_of(job)) and is_expired(job, end)]
        for job in held.each(expired):
            job.remove()
            del jobs[job.key]
            yield job
        self._idempotency_keys.remove_orphaned(held.each(keys), jobs)
        for job in held.each(reviewed):
            if job.key not in jobs and not job.exists():
                self.storage.remove(f"{_FEEDBACK}/{job.sender}/{job.id}")

    def _end_of(self, job: Job) -> JobEnd | None:
        """The end of a job, read once."""
        if job.key not in self._ends and (end := job.ended()):
            self._ends[job.key] = end
        return self._ends.get(job.key)

    def _walk(self, key: str, levels: int) -> Iterator[str]:
        if levels == 0:
            yield key
            return
        for name in self.storage.names(key):
            yield from self._walk(f"{key}/{name}", levels - 1)

    def all_jobs(self) -> Iterator[Job]:
        """All jobs of all senders, by sender."""
        for key in self._walk("jobs", 2):
            _, sender, job_id = key.split("/")
            yield Job(self.storage, sender, job_id)

    def _new_job(self, sender: str) -> Job:
        """A job whose id begins with the time, so that ids sort by age."""
        return Job(self.storage, sender, f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}")

    def _store_files(
        self, job: Job, folder: SpoolFolder, files: Sequence[UploadedFile], manifest: Manifest, source: JobSource
    ) -> None:
        stored = (StoredFile(name=file.name, number=file.path.name, size=file.size) for file in files)
        job_folder = folder.path / "job"
        for made in (job_folder, job_folder / FILES):
            made.mkdir(FOLDER_MODE)
        for file in files:
            file.path.rename(job_folder / FILES / file.path.name)
        with open(job_folder / SOURCE, "xb", opener=open_private) as file_of_source:
            file_of_source.write(source.encode())
        with open(job_folder / MANIFEST, "xb", opener=open_private) as listing:
            lines = (manifest.stored(), *(line.model_dump_json() for line in stored))
            listing.write("\n".join(lines).encode())
        self.storage.store_folder(job_folder, job.key)

    def _reopen(self, job: Job) -> Job:
        """An accepted job, marked open again where a crash came before its mark.

        Raises
        ------
        UploadAborted
            the job was not accepted, and is being removed
        """
        try:
            if job.ended() is None:
                self.mark_open(job.priority(), job)
                if self.uploads.is_aborting(job):
                    raise UploadAborted("the rest of an earlier attempt is being removed; send the job again")
                job.manifest()
        except NotFound:
            raise UploadAborted("the earlier job of this Idempotency-Key was just removed; send it again") from None
        return job


def _open_key(priority: Priority, job: Job) -> str:
    return f"open/{priority}/{job.sender}/{job.id}"


def _manifest(job: Job, files: Sequence[UploadedFile], options: JobOptions) -> Manifest:
    kept = [name for name in ("blood", "key_images") if getattr(options, name)]  # none in the digests of older versions
    digested = (options.priority, options.operating_point, options.webhook, *kept)
    return Manifest(
        id=job.id,
        sender=options.sender,
        priority=options.priority,
        operating_point=options.operating_point,
        created=utc_now(),
        blood=options.keep_blood if options.blood is None else options.blood,
        key_images=options.key_images,
        files=len(files),
        webhook_digest=webhook_digest(options.webhook),
        **(digests(files, *digested) if options.idempotency_key else {}),
    )
