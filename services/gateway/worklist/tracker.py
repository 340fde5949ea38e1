"""Keeps the index up to date with the storage of jobs, whose files workers and other gateways write.

Jobs that have not ended are few, and are looked at in each listing pass. An ended job is read once, and again where a
gateway changed it. Gateways and workers on an object storage tell of changes at once, so it is listed seldom there. A
slow rescan finds jobs that came or went without a word.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from services.common.problems import NotFound
from services.gateway.jobs.job import Job, JobEnd
from services.gateway.jobs.schemas import PRIORITIES, Priority
from services.gateway.jobs.store import JobStore
from services.gateway.worklist.index import Changes, WorklistIndex
from services.gateway.worklist.job_reader import JobReader, TrackedJob
from services.gateway.worklist.rows import unreadable_row

log = logging.getLogger(__name__)
_JOBS_PER_PASS: Final = 100  # of a rebuild; open jobs are looked at between two passes
_PASS_S: Final = 0.5
_IDLE_SHARE: Final = 0.1  # largest share of a core, while nothing is to be rebuilt
_REBUILD_SHARE: Final = 0.5
_PAUSE_S: Final = 5.0  # after a failure


@dataclass(frozen=True, slots=True)
class Times:
    """How often the storage is read.

    Parameters
    ----------
    poll_s, idle_s
        seconds between two listings of open jobs, and where there are none
    rescan_s, checked
        seconds between two listings of all jobs, and the number of settled jobs that each one reads again
    gap_s
        least seconds between two passes
    """

    poll_s: float
    idle_s: float
    rescan_s: float
    checked: int
    gap_s: float = 0.0


LOCAL_TIMES: Final = Times(0.25, 0.25, 30.0, 100)  # a local listing takes microseconds
REMOTE_TIMES: Final = Times(10.0, 30.0, 900.0, 20, 1.0)  # an object storage has a price for each request


class Tracker:
    """Passes over the jobs, in a thread of its own."""

    def __init__(self, store: JobStore, index: WorklistIndex, reader: JobReader, times: Times) -> None:
        self._store, self._index, self._reader, self.times = store, index, reader, times
        self._open: dict[str, TrackedJob] = {}
        self._backlog: list[Job] = []
        self._unreadable: set[str] = set()  # those that were logged
        self._requests: SimpleQueue[tuple[Job, bool]] = SimpleQueue()  # and whether all of it is read again
        self._woken, self._stopping = threading.Event(), False
        self._rescan_at = self._list_at = 0.0
        self._damaged = self._failing = False

    def changed(self, job: Job) -> None:
        """Read a job again: it was accepted, changed or deleted here. From any thread."""
        self._requests.put((job, True))
        self._woken.set()

    def progressed(self, job: Job) -> None:
        """Read the new results of a job: a worker planned it, or ended a series. From any thread."""
        self._requests.put((job, False))
        self._woken.set()

    def rescan_soon(self) -> None:
        """List all jobs in the next pass."""
        self._rescan_at = self._list_at = 0.0
        self._woken.set()

    def replace_soon(self) -> None:
        """Replace the index, which is damaged, in the next pass."""
        self._damaged = True
        self._woken.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Track the jobs until the context ends."""
        self._stopping = False
        self._forget()
        thread = threading.Thread(target=self._run, name="worklist", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping = True
            self._woken.set()
            thread.join()

    def _run(self) -> None:
        while not self._stopping:
            begin = time.thread_time()
            self._woken.clear()
            if self.try_to_look(listing=time.monotonic() >= self._list_at):
                self._rest(time.thread_time() - begin)
            else:
                self._woken.wait(_PAUSE_S)

    def try_to_look(self, *, listing: bool = True) -> bool:
        """Make a pass; False where it fails. Of several failures in a row the first is logged."""
        try:
            self.look(listing=listing)
        except Exception as error:  # noqa: BLE001 - drivers of object storages raise errors of their own
            if not self._failing:
                _warn("the worklist cannot be brought up to date; it is tried again", error)
            self._failing = True
            self._start_anew(error)
            return False
        self._failing = False
        return True

    def _rest(self, worked_s: float) -> None:
        """Rest until the next pass, so that the thread takes a share of a core only."""
        share = _REBUILD_SHARE if self._backlog else _IDLE_SHARE
        rest_s = worked_s * (1 / share - 1)
        if not self._stopping:
            time.sleep(self.times.gap_s)
        self._woken.wait(rest_s if self._backlog else max(self._list_at - time.monotonic(), rest_s))

    def _start_anew(self, error: Exception) -> None:
        """Read all open jobs again: their rows may not be in the index. A damaged index is replaced by an empty one."""
        self._forget()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            with suppress(sqlite3.Error, OSError):
                self._index.replace()

    def _forget(self) -> None:
        self._open.clear()
        self._backlog.clear()
        self._rescan_at = self._list_at = 0.0

    def look(self, *, listing: bool = True) -> None:
        """One pass: open jobs, changed jobs, and a part of the jobs that are to be read anew.

        Parameters
        ----------
        listing
            whether open jobs are listed and looked at; without, changed jobs alone

        Raises
        ------
        sqlite3.Error
            the index is damaged, or cannot be written
        OSError
            the storage cannot be read; drivers of object storages raise errors of their own
        """
        if self._damaged:
            self._damaged = False
            raise sqlite3.DatabaseError
        changes, requests = Changes(), self._requested()
        try:
            self._look(changes, requests, listing=listing)
            if changes:
                self._index.apply(changes)
        except Exception:
            for request in requests.values():
                self._requests.put(request)
            raise
        if not self._backlog:
            self._index.set_complete()

    def _look(self, changes: Changes, requests: Mapping[str, tuple[Job, bool]], *, listing: bool) -> None:
        opened = self._opened() if listing else {}
        for job, anew in requests.values():
            tracked = self._open.get(job.id)
            self._read_as(TrackedJob(job) if anew or tracked is None else tracked, opened, changes)
        if listing:
            self._read_open(opened, changes)
        if time.monotonic() >= self._rescan_at:
            self._rescan(changes)
        self._read_backlog(changes)

    def _read_open(self, opened: Mapping[str, tuple[Job, Priority]], changes: Changes) -> None:
        for job, _ in opened.values():
            self._open.setdefault(job.id, TrackedJob(job))
        for tracked in list(self._open.values()):
            self._read_as(tracked, opened, changes)
        self._list_at = time.monotonic() + (self.times.poll_s if self._open else self.times.idle_s)

    def _read_as(self, tracked: TrackedJob, opened: Mapping[str, tuple[Job, Priority]], changes: Changes) -> None:
        """Read a job; where it is not listed as open, its end is looked for."""
        tracked.listed = opened[tracked.job.id][1] if tracked.job.id in opened else None
        self._read(tracked, changes)

    def _opened(self) -> dict[str, tuple[Job, Priority]]:
        return {
            job.id: (job, priority)
            for priority in PRIORITIES
            for sender in self._store.senders(priority)
            for job in self._store.open_jobs(priority, sender)
        }

    def _requested(self) -> dict[str, tuple[Job, bool]]:
        """Each job once, by its id."""
        found: dict[str, tuple[Job, bool]] = {}
        with suppress(Empty):
            while True:
                job, anew = self._requests.get_nowait()
                found[job.id] = job, anew or found.get(job.id, (job, False))[1]
        return found

    def _rescan(self, changes: Changes) -> None:
        """Find jobs that came or went; read again those that are not settled, and a few of the others."""
        known = self._index.known()  # before the listing, which then has every job that was not deleted
        stored = {job.id: job for job in self._store.all_jobs()}
        changes.removed |= {job.job: job.sender for job in known.values() if job.job not in stored}
        unread = [job for key, job in stored.items() if not (key in known and known[key].settled)]
        again = self._index.least_recently_checked(self.times.checked) if self._index.complete else []
        unread += [stored[job.job] for job in again if job.job in stored]
        waiting = {job.id for job in self._backlog} | set(self._open)
        self._backlog += sorted((job for job in unread if job.id not in waiting), key=lambda job: job.id)
        self._rescan_at = time.monotonic() + self.times.rescan_s

    def _read_backlog(self, changes: Changes) -> None:
        """Read the newest jobs of the backlog."""
        deadline = time.monotonic() + _PASS_S
        for _ in range(_JOBS_PER_PASS):
            if not self._backlog or self._stopping or time.monotonic() > deadline:
                return
            self._read(TrackedJob(self._backlog.pop()), changes)

    def _read(self, tracked: TrackedJob, changes: Changes) -> None:
        """Add the changed rows of a job."""
        job = tracked.job
        try:
            rows, end = self._reader.changed_rows(tracked)
        except NotFound:
            changes.removed[job.id] = job.sender
            self._open.pop(job.id, None)
            return
        except (ValueError, LookupError, TypeError) as error:  # of a later version, or damaged
            if job.id not in self._unreadable:
                _warn("a job is unreadable", error, job=job.id)
            self._unreadable.add(job.id)
            rows, end = [unreadable_row(job.sender, job.id)], None if tracked.listed else JobEnd("failed", "")
        changes.rows += rows
        if tracked.plan and tracked.plan.slices:
            changes.planned.add(job.id)
        if rows:
            changes.observed[job.id] = job.sender, end is not None
        if end:
            self._open.pop(job.id, None)
        else:
            self._open[job.id] = tracked


def _warn(message: str, error: Exception, **fields: str) -> None:
    """Log an error by its type: a message may quote a file of a job."""
    found = {**fields, "error": type(error).__name__, "errno": getattr(error, "errno", None)}
    log.warning(message, extra={"fields": found})
