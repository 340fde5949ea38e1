"""Quotas of jobs: reserved before a job's body is read, changed to its size before it is stored."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import Final

from anyio import CancelScope, to_thread
from anyio import Lock as AsyncLock
from redis import Redis
from redis.exceptions import RedisError
from starlette.requests import Request

from services.gateway.jobs.scheduler import QueueUnavailable
from services.gateway.jobs.store import JobStore
from services.gateway.quotas.limits import Limits, SenderLimits
from services.gateway.quotas.problems import QuotaExceeded
from services.gateway.quotas.refusals import Refusals
from services.gateway.quotas.storage_count import StorageCount
from services.gateway.quotas.usage import Exceeded, Reservation, Usage, new_reservation

_FRESH_S: Final = 10.0  # that a count serves to accept jobs
_YOUNG_S: Final = 2.0  # that a count serves to refuse jobs
_ANY_AGE_S: Final = 3600.0


@dataclass(slots=True)
class ReservedJob:
    """A job's part of its sender's quotas; of one without limits, nothing.

    stored : whether the part is kept until the storage's count holds the job
    """

    quotas: "JobQuotas"
    reservation: Reservation | None
    stored: bool = False

    def resize(self, size: int) -> None:
        """Reserve the size of the received files, in bytes.

        Raises
        ------
        QuotaExceeded
            they are too large for the rest of the quota
        QueueUnavailable
            Redis does not answer
        """
        if self.reservation:
            self.quotas.reserve(self.reservation, size)


class JobQuotas:
    """The quotas of all senders."""

    def __init__(self, limits: Limits, redis: Redis, store: JobStore, refused: Refusals) -> None:
        self._limits = limits
        self._usage = Usage(redis)
        self._count = StorageCount(store)
        self._refused = refused
        self._counting: defaultdict[str, Lock] = defaultdict(Lock)
        self._turns: defaultdict[str, AsyncLock] = defaultdict(AsyncLock)

    @asynccontextmanager
    async def reserved(self, sender: str, size: int) -> AsyncIterator[ReservedJob]:
        """Room for a job, until its end or for good where it is marked as stored.

        Parameters
        ----------
        size : of the body in bytes, as the client declares it; 0 where it does not

        Raises
        ------
        QuotaExceeded
            one of the sender's quotas has no room
        QueueUnavailable
            Redis does not answer
        """
        if not self._limits.of(sender).of_jobs:
            yield ReservedJob(self, None)
            return
        job = ReservedJob(self, new_reservation(sender))
        async with self._turns[sender]:  # a flood of one sender holds one thread
            await to_thread.run_sync(job.resize, size)
        try:
            yield job
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._end, job)

    def reserve(self, reservation: Reservation, size: int) -> None:
        """As `reserved`, for a reservation that may exist."""
        limits = self._limits.of(reservation.sender)
        with _redis_as_problem():
            found = self._usage.reserve(reservation, size, limits, _FRESH_S)
            if found is not True:
                found = self._reserve_anew(reservation, size, limits)
        if isinstance(found, Exceeded):
            self._refused.add(found.quota)
            raise QuotaExceeded.of(found.quota, found.used, getattr(limits, found.quota))

    def _reserve_anew(self, reservation: Reservation, size: int, limits: SenderLimits) -> Exceeded | bool:
        """Reserve by a young count: jobs may have ended since an older one."""
        sender = reservation.sender
        with self._counting[sender]:
            found = self._usage.reserve(reservation, size, limits, _YOUNG_S)
            if found is not False:
                return found
            number = self._usage.begin_count(sender)
            used = self._count.count(sender, size=limits.bytes is not None, series=limits.series is not None)
            self._usage.end_count(sender, number, used)
        return self._usage.reserve(reservation, size, limits, _ANY_AGE_S)

    def _end(self, job: ReservedJob) -> None:
        """Without Redis the reservation stays until its time ends."""
        if job.reservation:
            with suppress(RedisError):
                (self._usage.mark_stored if job.stored else self._usage.release)(job.reservation)


def declared_bytes(request: Request) -> int:
    """The size of a request's body as its client declares it; 0 where it does not."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0


@contextmanager
def _redis_as_problem() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise QueueUnavailable("Redis is down or full; nothing was accepted, send the job again later") from error
