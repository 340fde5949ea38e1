"""Counts what each sender's jobs use in the storage."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from services.common.problems import NotFound
from services.gateway.jobs.job import Job
from services.gateway.jobs.schemas import PRIORITIES
from services.gateway.jobs.store import JobStore
from services.gateway.quotas.usage import Used

_READERS: Final = 16
_TRUSTED_S: Final = 300.0  # that a size is taken as it was; only removed files change it


@dataclass(frozen=True, slots=True)
class _Size:
    """Bytes of a job's files, and when they were right."""

    bytes: int
    at: float

    def is_trusted(self, now: float) -> bool:
        """Whether it is still right: removed files do not come back."""
        return self.bytes == 0 or now - self.at < _TRUSTED_S


@dataclass(slots=True)
class _Known:
    """What earlier counts of a sender have read: sizes of jobs, and numbers of series of planned open jobs."""

    sizes: dict[str, _Size] = field(default_factory=dict)
    series: dict[str, int] = field(default_factory=dict)


class StorageCount:
    """Reads the manifest of each job once, and looks every few minutes whether its files were removed.

    Parameters
    ----------
    clock
        seconds
    """

    def __init__(self, store: JobStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def count(self, sender: str, *, size: bool, series: bool) -> Used:
        """What a sender's jobs use.

        Parameters
        ----------
        size, series : whether bytes and series are counted; otherwise they are 0

        Raises
        ------
        OSError
            the storage does not answer
        """
        known = self._known.setdefault(sender, _Known())
        found = [job for priority in PRIORITIES for job in self._store.open_jobs(priority, sender)]
        open_jobs = list({job.id: job for job in found}.values())  # one whose priority changes may be in both
        waiting = _waiting_series(open_jobs, known) if series else 0
        return Used(len(open_jobs), self._bytes(self._store.jobs(sender), known) if size else 0, waiting)

    def _bytes(self, jobs: Sequence[Job], known: _Known) -> int:
        now = self._clock()
        sizes = {job.id: size for job in jobs if (size := known.sizes.get(job.id)) and size.is_trusted(now)}
        unknown = [job for job in jobs if job.id not in sizes]
        with ThreadPoolExecutor(_READERS) as pool:
            found = pool.map(lambda job: _size(job, known.sizes.get(job.id), now), unknown)
            sizes |= {job.id: size for job, size in zip(unknown, found, strict=True) if size}
        known.sizes = sizes
        return sum(size.bytes for size in sizes.values())


def _size(job: Job, known: _Size | None, now: float) -> _Size | None:
    """The size of a job's files; None where the job is gone, or not complete yet."""
    with suppress(NotFound):
        size = known.bytes if known else sum(file.size for file in job.stored_files())  # the manifest is stored last
        return _Size(size if job.has_files() else 0, now)
    return None


def _waiting_series(jobs: Sequence[Job], known: _Known) -> int:
    """Series of open jobs without a report; a job that is not planned counts as one."""
    plans = {job.id: known.series.get(job.id) or _planned_series(job) for job in jobs}
    known.series = {job_id: series for job_id, series in plans.items() if series}
    return sum(max(0, plans[job.id] - len(job.outcomes())) if plans[job.id] else 1 for job in jobs)


def _planned_series(job: Job) -> int:
    plan = job.plan()
    return len(plan.series) if plan else 0
