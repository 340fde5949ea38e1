"""Jobs that a gateway is storing. In a shared storage each has a mark: others remove the jobs of a dead gateway.

receiving/<sender>/<job>/<member>    the gateway that stores the job, until it is accepted or removed; its content is
                                     the path of the job's idempotency key, if it has one
receiving/<sender>/<job>/aborting    the job is being removed, unless it was accepted before this mark

A gateway marks a job open, and looks at its own mark afterwards. To remove a half upload, a gateway creates `aborting`,
and looks for the job's open mark afterwards. So at least one of the two sees the other. `membership.py` has members.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Final, Protocol

from services.common.problems import Problem
from services.gateway.jobs.job import Job
from services.gateway.jobs.lease import LeaseCheck
from services.gateway.jobs.membership import Membership
from services.gateway.jobs.storage import Storage

_FOLDER: Final = "receiving"
_ABORTING: Final = "aborting"
IsAccepted = Callable[[Job], bool]


class UploadAborted(Problem):
    status = 503
    code = "upload_aborted"
    title = "The job was not stored in time"
    retry_after_s = 5


class PendingUploads(Protocol):
    """The jobs that this gateway, and others on the same storage, are storing."""

    def storing(self, job: Job, key: str | None) -> AbstractContextManager[None]:
        """Mark a job as an upload of this gateway, before anything of it is stored.

        key : path of its idempotency key
        """

    def check(self, job: Job) -> None:
        """UploadAborted where another gateway counted this one as dead, and removes its uploads."""

    def is_aborting(self, job: Job) -> bool:
        """Whether a job may be removed at any moment, since its upload was not finished."""

    def end(self, job: Job) -> None:
        """Remove the mark: the job is accepted, or removed."""

    def abort(self, job: Job, is_accepted: IsAccepted) -> None:
        """Remove a job, unless it was accepted."""

    def ids(self) -> set[str]:
        """The ids of all marked jobs."""

    def settle(self, is_accepted: IsAccepted, *, all_gateways: bool) -> None:
        """Remove the half uploads that nobody continues, and marks that a gateway could not remove.

        all_gateways : this gateway holds the lease: settle those of dead gateways, too; else its own
        """


class SoleUploads:
    """Of a gateway that shares its storage with no other: without marks, since its next start removes half uploads."""

    def storing(self, job: Job, key: str | None) -> AbstractContextManager[None]:  # noqa: ARG002 - of the Protocol
        """Nothing to mark."""
        return nullcontext()

    def check(self, job: Job) -> None:
        """Nobody removes it."""

    def is_aborting(self, job: Job) -> bool:  # noqa: ARG002 - of the Protocol
        """Nobody removes it."""
        return False

    def end(self, job: Job) -> None:
        """Nothing to remove."""

    def abort(self, job: Job, is_accepted: IsAccepted) -> None:  # noqa: ARG002 - of the Protocol
        """Remove the job."""
        job.remove()

    def ids(self) -> set[str]:
        """None."""
        return set()

    def settle(self, is_accepted: IsAccepted, *, all_gateways: bool) -> None:
        """Nothing is left while this gateway runs."""


class SharedUploads:
    """Marks in the storage."""

    def __init__(self, storage: Storage, membership: Membership) -> None:
        self._storage = storage
        self._membership = membership
        self._members: dict[str, str] = {}  # under which id this gateway stores each job in progress
        self._stalled: set[str] = set()  # jobs that were being aborted when this gateway settled all last

    @contextmanager
    def storing(self, job: Job, key: str | None) -> Iterator[None]:
        """Create the mark. It stays where the gateway does not come to `end` or `abort`."""
        self._members[job.id] = self._membership.id
        try:
            self._storage.create(f"{_folder(job)}/{self._members[job.id]}", (key or "").encode())
            yield
        finally:
            del self._members[job.id]

    def check(self, job: Job) -> None:
        """One listing, so that no half of a removal is seen."""
        names = self._storage.names(_folder(job))
        if _ABORTING in names or self._members[job.id] not in names:
            raise UploadAborted(
                "this gateway could not reach the storage of jobs for a while, and its uploads were removed; send the "
                "job again, with the same Idempotency-Key if it had one"
            )

    def is_aborting(self, job: Job) -> bool:
        return _ABORTING in self._storage.names(_folder(job))

    def end(self, job: Job) -> None:
        self._storage.remove(f"{_folder(job)}/{self._members[job.id]}")

    def abort(self, job: Job, is_accepted: IsAccepted) -> None:
        """Leave the job to another gateway that is removing it."""
        if self._storage.create(f"{_folder(job)}/{_ABORTING}", b""):
            self._finish(job, is_accepted)

    def _finish(self, job: Job, is_accepted: IsAccepted) -> None:
        """Remove the job and its key unless it was accepted, then its marks; `aborting` is the last."""
        marks = [name for name in self._storage.names(_folder(job)) if name != _ABORTING]
        if not is_accepted(job):
            for name in marks:
                self._remove_key(job, name)
            job.remove()
        for name in (*marks, _ABORTING):
            self._storage.remove(f"{_folder(job)}/{name}")

    def _remove_key(self, job: Job, mark: str) -> None:
        """Remove the key while the job exists: until then, no other request can take the key."""
        with suppress(FileNotFoundError):
            key = self._storage.get(f"{_folder(job)}/{mark}").decode()
            if key and self._storage.get(key).decode() == job.id:
                self._storage.remove(key)

    def ids(self) -> set[str]:
        return {job.id for job, _ in self._marked()}

    def _marked(self) -> Iterator[tuple[Job, set[str]]]:
        for sender in self._storage.names(_FOLDER):
            for job_id in self._storage.names(f"{_FOLDER}/{sender}"):
                job = Job(self._storage, sender, job_id)
                if names := self._storage.names(_folder(job)):
                    yield job, set(names)

    def settle(self, is_accepted: IsAccepted, *, all_gateways: bool) -> None:
        """The members are read after the marks: the record of a new gateway is older than its marks.

        Raises
        ------
        LeaseLost
            another gateway may do it from now on
        """
        held = LeaseCheck(self._membership) if all_gateways else None
        marked = list(self._marked())
        members, own = self._membership.living(), self._membership.id
        stalled = {job.id for job, names in marked if _ABORTING in names}
        for job, names in held.each(marked) if held else marked:
            if job.id in self._members:
                continue
            if all_gateways and job.id in stalled & self._stalled:  # the gateway that began it has died
                self._finish(job, is_accepted)
            elif own in names or (all_gateways and not names & members):
                self.abort(job, is_accepted)
        self._stalled = stalled if all_gateways else set()


def _folder(job: Job) -> str:
    return f"{_FOLDER}/{job.sender}/{job.id}"
