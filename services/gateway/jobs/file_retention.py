"""Removes uploaded files of ended jobs before the jobs expire: by age, and by a quota. Reports stay."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from services.common.problems import NotFound
from services.gateway.jobs.job import Job


class FileRetention:
    """Removes the files of jobs that ended long ago, or as many of the oldest as exceed a quota.

    Parameters
    ----------
    ttl_s
        seconds from the end of a job until its files are removed; None for as long as its reports
    quota_bytes
        of the files of all ended jobs; None for no limit
    """

    def __init__(self, ttl_s: float | None = None, quota_bytes: int | None = None) -> None:
        self._ttl_s = float("inf") if ttl_s is None else ttl_s
        self._quota_bytes = float("inf") if quota_bytes is None else quota_bytes
        self._active = not (ttl_s is None and quota_bytes is None)
        self._sizes: dict[str, int] = {}  # of the files of ended jobs, by the job's key; they only shrink to 0

    def sweep(self, ended: Sequence[tuple[Job, float]]) -> Iterator[Job]:
        """Remove files, and yield each job whose files were removed.

        Parameters
        ----------
        ended : all ended jobs, and the seconds since their ends
        """
        if not self._active:
            return
        sizes = {job.key: self._size(job) for job, _ in ended}
        kept_bytes = 0
        for job, age_s in sorted(ended, key=lambda item: item[1]):
            size = sizes[job.key]
            kept_bytes += size
            if size and (age_s > self._ttl_s or kept_bytes > self._quota_bytes):
                job.remove_files()
                kept_bytes -= size
                sizes[job.key] = 0
                yield job
        self._sizes = sizes

    def _size(self, job: Job) -> int:
        """Bytes of a job's files; 0 after their removal."""
        if job.key not in self._sizes:
            with suppress(NotFound):  # deleted meanwhile
                return sum(file.size for file in job.stored_files()) if job.has_files() else 0
            return 0
        return self._sizes[job.key]
