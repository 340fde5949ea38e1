"""Ages of ended jobs, and the deletion of expired ones. A jump of the wall clock deletes nothing, and keeps nothing.

clock/<milliseconds>    the retention clock at the latest sweep, with the readings of the system's clocks

The retention clock counts time that has passed, see `elapsed.py`. The first look at an ended job stores the clock's
value with the job. So a time stamp in a job, which may be wrong, shortens a job's life by no more than the time since
the latest sweep.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from services.common.elapsed import Reading, elapsed_s
from services.gateway.jobs.file_retention import FileRetention
from services.gateway.jobs.job import Job, JobEnd
from services.gateway.jobs.lease import LeaseCheck
from services.gateway.jobs.storage import Storage
from services.gateway.jobs.store import JobStore

DAY_S: Final = 86_400.0
_FOLDER: Final = "clock"
_START_MS: Final = 10**12  # of a new clock: no job can have ended before 0


class RetentionClock:
    """Counts the time that has passed, over restarts too. Between two boots it counts a day at most.

    Parameters
    ----------
    read
        reads the system's clocks
    """

    def __init__(self, storage: Storage, read: Callable[[], Reading] = Reading.now) -> None:
        self._storage = storage
        self._read = read
        self._latest: tuple[int, Reading] | None = None

    def now(self) -> tuple[int, Reading, float | None]:
        """Its milliseconds, the reading, and the seconds since the latest sweep; None before the first sweep ever."""
        reading = self._read()
        if self._latest is None:
            self._latest = self._stored()
        if self._latest is None:
            return _START_MS, reading, None
        value, then = self._latest
        passed_s = elapsed_s(then, reading, DAY_S)
        return value + round(passed_s * 1000), reading, passed_s

    def forget(self) -> None:
        """Read the stored value again: another gateway may have swept meanwhile."""
        self._latest = None

    def tick(self) -> None:
        """Store its value, in place of the earlier one: a sweep has seen all jobs."""
        value, reading, _ = self.now()
        self._storage.create(f"{_FOLDER}/{value:015d}", reading.json().encode())
        for name in self._storage.names(_FOLDER):
            if name != f"{value:015d}":
                self._storage.remove(f"{_FOLDER}/{name}")
        self._latest = value, reading

    def _stored(self) -> tuple[int, Reading] | None:
        names = [name for name in self._storage.names(_FOLDER) if name.isdigit()]
        for name in reversed(names):
            if reading := Reading.parse(self._storage.get(f"{_FOLDER}/{name}")):
                return int(name), reading
        return None


class Retention:
    """Deletes jobs that ended long enough ago.

    Parameters
    ----------
    ttl_s
        seconds from the end of a job until it is deleted
    files
        removes files of jobs earlier
    """

    def __init__(
        self, store: JobStore, clock: RetentionClock, ttl_s: float, files: FileRetention | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._ttl_s = ttl_s
        self._ends: dict[str, int] = {}  # milliseconds of the retention clock at the end, by the job's key
        self._files = files or FileRetention()
        self._kept: list[tuple[Job, float]] = []  # ended jobs that the latest sweep left, and the seconds since

    def forget(self) -> None:
        """Read all again: another gateway may have swept meanwhile."""
        self._clock.forget()
        self._ends, self._kept = {}, []

    def sweep(self) -> Iterator[Job]:
        """Delete the expired jobs, and yield each after its deletion.

        Raises
        ------
        LeaseLost
            another gateway may do it from now on
        """
        seen: set[str] = set()
        kept: list[tuple[Job, float]] = []

        def is_expired(job: Job, end: JobEnd) -> bool:
            seen.add(job.key)
            if (age_s := self.age_s(job, end)) > self._ttl_s:
                return True
            kept.append((job, age_s))
            return False

        yield from self._store.remove_expired(is_expired)
        self._kept = kept
        self._ends = {key: end for key, end in self._ends.copy().items() if key in seen}
        self._clock.tick()

    def sweep_files(self) -> Iterator[Job]:
        """Remove files of the ended jobs that the latest sweep left; yield each job whose files were removed."""
        yield from LeaseCheck(self._store.lease).each(self._files.sweep(self._kept))

    def age_s(self, job: Job, end: JobEnd) -> float:
        """Seconds since the job ended. The first call stores the end by the retention clock."""
        now_ms, reading, since_sweep_s = self._clock.now()
        ended_ms = self._ends.get(job.key) or job.end_mark()
        if ended_ms is None or ended_ms > now_ms:  # not seen yet, or the clock was lost
            credit_s = self._credit_s(reading.wall_s - _timestamp_s(end.at), since_sweep_s)
            ended_ms = job.mark_end(now_ms - round(credit_s * 1000), replace=ended_ms)
        self._ends[job.key] = ended_ms
        return (now_ms - ended_ms) / 1000

    def _credit_s(self, age_s: float, since_sweep_s: float | None) -> float:
        """The age of a job that no sweep has seen: it ended after the latest one.

        Before the first sweep ever, the jobs of an older version get a day at least.
        """
        bound_s = max(self._ttl_s - DAY_S, 0.0) if since_sweep_s is None else since_sweep_s
        return min(max(age_s, 0.0), bound_s)


def _timestamp_s(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
