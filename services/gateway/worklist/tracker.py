"""Keeps the index up to date with the storage of jobs, whose files workers and other gateways write.

Jobs that have not ended are few, and are looked at in each pass: a listing for each. An ended job is read once, and
again where this gateway changed it. A slow rescan finds jobs that came or went without a word.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Final

from services.common.problems import NotFound
from services.gateway.feedback.schemas import Opinion
from services.gateway.jobs.job import Job, JobEnd
from services.gateway.jobs.schemas import PRIORITIES, Manifest, Plan, PlannedSeries, Priority
from services.gateway.jobs.store import JobStore
from services.gateway.worklist.index import Changes, WorklistIndex
from services.gateway.worklist.rows import JobState, Row, job_row, series_row, unreadable_row

log = logging.getLogger(__name__)
_CHECKED_PER_RESCAN: Final = 100
_JOBS_PER_PASS: Final = 100  # of a rebuild
_IDLE_SHARE: Final = 0.1  # largest share of a core, while nothing is to be rebuilt
_REBUILD_SHARE: Final = 0.5

Opinions = Callable[[Job], Mapping[int, Mapping[Opinion, int]]]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds between two passes, and between two listings of all jobs."""

    poll_s: float
    rescan_s: float


LOCAL_TIMES: Final = Times(0.25, 30.0)  # a local listing takes microseconds
REMOTE_TIMES: Final = Times(2.0, 300.0)  # an object storage has a price for each request


def no_opinions(_: Job) -> Mapping[int, Mapping[Opinion, int]]:
    """Of jobs without feedback."""
    return {}


@dataclass(slots=True)
class _Tracked:
    """A job, as it was observed last.

    listed : priority under which it is marked open; None where it is not
    done : numbers of series whose results are in the index
    """

    job: Job
    manifest: Manifest | None = None
    priority: Priority | None = None
    plan: Plan | None = None
    series: list[PlannedSeries] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    listed: Priority | None = None


class Tracker:
    """Passes over the jobs, in a thread of its own.

    Parameters
    ----------
    show_patient : whether rows hold PatientName
    opinions : counts of readers' opinions on a job's series, by number
    """

    def __init__(
        self,
        store: JobStore,
        index: WorklistIndex,
        times: Times,
        *,
        show_patient: bool = False,
        opinions: Opinions = no_opinions,
    ) -> None:
        self._store, self._index, self.times, self._opinions = store, index, times, opinions
        self._show_patient = show_patient
        self._open: dict[str, _Tracked] = {}
        self._backlog: list[Job] = []
        self._requests: SimpleQueue[tuple[Job, int | None]] = SimpleQueue()
        self._woken, self._stopping = threading.Event(), False
        self._rescan_at = 0.0

    def changed(self, job: Job, number: int | None = None) -> None:
        """Read a job again, or one series of it: it was accepted, changed or deleted here. From any thread."""
        self._requests.put((job, number))
        self._woken.set()

    def rescan_soon(self) -> None:
        """List all jobs in the next pass."""
        self._rescan_at = 0.0
        self._woken.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Track the jobs until the context ends."""
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
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - drivers of object storages raise errors of their own
                fields = {"error": type(error).__name__, "errno": getattr(error, "errno", None)}
                log.warning("the worklist could not be brought up to date", extra={"fields": fields})
            share = _REBUILD_SHARE if self._backlog else _IDLE_SHARE
            rest_s = (time.thread_time() - begin) * (1 / share - 1)
            self._woken.wait(rest_s if self._backlog else max(self.times.poll_s, rest_s))

    def look(self) -> None:
        """One pass: open jobs, changed jobs, and a part of the jobs that are to be read anew."""
        changes, opened = Changes(), self._opened()
        for job, number in self._requested():
            self._follow_request(job, number, changes)
        for job, priority in opened.values():
            self._open.setdefault(job.id, _Tracked(job)).listed = priority
        for tracked in list(self._open.values()):
            if tracked.job.id not in opened:
                tracked.listed = None
            self._observe(tracked, changes)
        if time.monotonic() >= self._rescan_at:
            self._rescan(changes)
        for job in self._backlog[:_JOBS_PER_PASS]:
            self._observe(_Tracked(job), changes)
        del self._backlog[:_JOBS_PER_PASS]
        if changes:
            self._index.apply(changes)
        if not self._backlog:
            self._index.set_complete()

    def _opened(self) -> dict[str, tuple[Job, Priority]]:
        return {
            job.id: (job, priority)
            for priority in PRIORITIES
            for sender in self._store.senders(priority)
            for job in self._store.open_jobs(priority, sender)
        }

    def _requested(self) -> Iterator[tuple[Job, int | None]]:
        with suppress(Empty):
            while True:
                yield self._requests.get_nowait()

    def _follow_request(self, job: Job, number: int | None, changes: Changes) -> None:
        tracked = self._open.get(job.id)
        if tracked is None:
            self._observe(_Tracked(job), changes)
        elif number is not None and number in tracked.done:
            tracked.done.remove(number)  # the pass over open jobs reads it again

    def _rescan(self, changes: Changes) -> None:
        """Find jobs that came or went; read again those that are not settled, and a few of the others."""
        known = self._index.known()  # before the listing, which then has every job that was not deleted
        stored = {job.id: job for job in self._store.all_jobs()}
        changes.removed |= {job.job: job.sender for job in known.values() if job.job not in stored}
        unread = [job for key, job in stored.items() if not (key in known and known[key].settled)]
        again = self._index.least_recently_checked(_CHECKED_PER_RESCAN) if self._index.complete else []
        unread += [stored[job.job] for job in again if job.job in stored]
        waiting = {job.id for job in self._backlog} | set(self._open)
        self._backlog += sorted((job for job in unread if job.id not in waiting), key=lambda job: job.id, reverse=True)
        self._rescan_at = time.monotonic() + self.times.rescan_s

    def _observe(self, tracked: _Tracked, changes: Changes) -> None:
        """Add the rows of a job that have changed since it was observed last, or all rows."""
        job = tracked.job
        try:
            rows, end = self._changed_rows(tracked)
        except NotFound:
            changes.removed[job.id] = job.sender
            self._open.pop(job.id, None)
            return
        except (ValueError, KeyError, TypeError) as error:  # of a later version, or damaged
            log.warning("a job is unreadable", extra={"fields": {"job": job.id, "error": type(error).__name__}})
            rows, end = [unreadable_row(job.sender, job.id)], JobEnd("failed", "")
        changes.rows += rows
        if tracked.series:
            changes.planned.add(job.id)
        if end or job.id not in self._open or rows:
            changes.observed[job.id] = job.sender, end is not None
        if end:
            self._open.pop(job.id, None)
        else:
            self._open[job.id] = tracked

    def _changed_rows(self, tracked: _Tracked) -> tuple[list[Row], JobEnd | None]:
        """The changed rows, and the end of the job, which is read first: no result comes after it."""
        job = tracked.job
        end = None if tracked.listed else job.ended()
        every = self._learn(tracked)
        state = JobState(
            tracked.manifest or job.manifest(), tracked.priority or "routine", tracked.plan, end, self._show_patient
        )
        if not tracked.series:
            return ([job_row(state)] if every or end else []), end
        markers = job.markers()
        changed = range(len(tracked.series)) if every else set(markers) - tracked.done
        if end:
            changed = {*changed, *(set(range(len(tracked.series))) - set(markers))}
        opinions = self._opinions(job) if changed else {}
        rows = [
            series_row(state, number, tracked.series[number], summary, opinions.get(number, {}))
            for number in sorted(changed)
            for summary in [job.summary(number, markers[number]) if number in markers else None]
        ]
        tracked.done |= set(markers)
        return rows, end

    def _learn(self, tracked: _Tracked) -> bool:
        """Read manifest, priority and plan where they are not known; whether that changes all rows."""
        job, before = tracked.job, (tracked.manifest, tracked.priority, tracked.plan)
        if tracked.manifest is None:
            tracked.manifest = job.manifest()
        tracked.priority = tracked.listed or tracked.manifest.priority
        if tracked.plan is None and (plan := job.plan()):
            tracked.plan, tracked.series = plan, job.all_planned_series()
        return before != (tracked.manifest, tracked.priority, tracked.plan)
