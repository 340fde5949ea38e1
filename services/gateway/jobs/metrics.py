"""Figures of the queue for `/metrics`: what waits by the store, what was done by counters in Redis.

A scrape must not read ten thousand jobs. So what waits is looked up at most every few seconds; how many jobs there are
and how old they are stands in their names; how many series a job has is read once; and since jobs are planned in about
the order that they came in, a row of jobs without a plan ends the search for planned ones.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from services.gateway.jobs.job import Job
from services.gateway.jobs.schemas import OUTCOMES, PRIORITIES, Outcome
from services.gateway.jobs.store import JobStore

CACHE_S: Final = 5.0
_UNPLANNED_IN_A_ROW: Final = 50
_OUTCOMES: Final = "ich:outcomes"
_CAUSES: Final = "ich:causes"


class Counters(Protocol):
    """The two commands of Redis that are used here."""

    def hincrby(self, name: str, key: str, amount: int, /) -> Any:
        """Add to a field of a hash."""

    def hgetall(self, name: str, /) -> Any:
        """All fields of a hash and their values, as bytes."""


def count(redis: Counters, outcome: Outcome | None, cause: str | None) -> None:
    """One more series came to this end; or a job (no outcome) that had none. `cause` is a problem's code."""
    if outcome:
        redis.hincrby(_OUTCOMES, outcome, 1)
    if cause:
        redis.hincrby(_CAUSES, cause, 1)


class QueueMetrics(Collector):
    """Collected when they are asked for.

    cache_s : how long what waits is believed, so that scrapes cost little
    clock : seconds since 1970
    """

    def __init__(
        self, redis: Counters, store: JobStore, *, cache_s: float = CACHE_S, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._store = store
        self._cache_s = cache_s
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_s = 0.0
        self._waiting: list[Metric] = []
        self._series: dict[str, int] = {}  # of each planned open job by its id

    def collect(self) -> Iterator[Metric]:
        """Jobs and series that wait, the age of the oldest job, series by outcome, failures by cause."""
        with self._lock:
            if self._clock() - self._looked_s >= self._cache_s:
                self._waiting, self._looked_s = list(self._look()), self._clock()
        yield from self._waiting
        yield from self._done()

    def _look(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("ich_jobs_open", "Jobs not at their end", labels=["priority"])
        series = GaugeMetricFamily("ich_queue_series", "Series without a report, of planned jobs", labels=["priority"])
        oldest = GaugeMetricFamily("ich_queue_oldest_seconds", "Age of the oldest open job", labels=["priority"])
        known = self._series
        self._series = {}
        for priority in PRIORITIES:
            senders = [self._store.open_jobs(priority, sender) for sender in self._store.senders(priority)]
            jobs.add_metric([priority], sum(map(len, senders)))
            series.add_metric([priority], sum(sum(self._series_left(found, known)) for found in senders))
            oldest.add_metric([priority], max((self._age_s(found[0]) for found in senders if found), default=0.0))
        yield from (jobs, series, oldest)

    def _series_left(self, jobs: Sequence[Job], known: Mapping[str, int]) -> Iterator[int]:
        """Series without a report, of each planned job; `jobs` from the oldest on."""
        unplanned = 0
        for job in jobs:
            series = known.get(job.id) or _planned(job)
            unplanned = 0 if series else unplanned + 1
            if series:
                self._series[job.id] = series
                yield max(0, series - len(job.outcomes()))
            if unplanned >= _UNPLANNED_IN_A_ROW:
                return

    def _age_s(self, job: Job) -> float:
        """An id begins with the milliseconds since 1970, as 12 hexadecimal digits."""
        return max(0.0, self._clock() - int(job.id[:12], 16) / 1e3)

    def _done(self) -> Iterator[Metric]:
        """Nothing where Redis is down: Prometheus knows a gap from a zero."""
        outcomes = CounterMetricFamily("ich_job_series", "Series of jobs by what became of them", labels=["outcome"])
        causes = CounterMetricFamily("ich_job_failures", "Series and jobs that failed, by cause", labels=["cause"])
        with suppress(RedisError):
            for name, value in self._counts(_OUTCOMES, dict.fromkeys(OUTCOMES, 0)).items():
                outcomes.add_metric([name], value)
            for name, value in self._counts(_CAUSES, {}).items():
                causes.add_metric([name], value)
        yield from (outcomes, causes)

    def _counts(self, key: str, least: dict[str, int]) -> dict[str, int]:
        found: dict[bytes, bytes] = self._redis.hgetall(key)
        return {**least, **{name.decode(): int(value) for name, value in found.items()}}


def _planned(job: Job) -> int:
    plan = job.plan()
    return len(plan.series) if plan else 0
