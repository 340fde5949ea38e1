"""Metrics of the queue: gauges from the store, counters from Redis.

A scrape must stay cheap with ten thousand jobs:

- Gauges are cached for a few seconds.
- The number of jobs and their age come from their names alone.
- The number of series of a job is read once.
- Jobs are planned in about the order of their arrival, so a run of jobs without a plan ends the search for plans.
"""

import logging
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
from services.gateway.stages.stage_client import Stages

log = logging.getLogger(__name__)
CACHE_S: Final = 5.0
REMOTE_CACHE_S: Final = 30.0  # an object storage has a price for each request
_PATIENCE_S: Final = 5.0
_MAX_UNPLANNED_RUN: Final = 50
_OUTCOMES: Final = "ich:outcomes"
_CAUSES: Final = "ich:causes"
_RETRIES: Final = "ich:stage_retries"  # fields `<stage>:<cause>`


class Counters(Protocol):
    """The commands of Redis that count."""

    def hincrby(self, name: str, key: str, amount: int, /) -> Any:
        """Add to a field of a hash."""

    def hgetall(self, name: str, /) -> Any:
        """All fields of a hash and their values, as bytes."""


def count_result(redis: Counters, outcome: Outcome | None, cause: str | None) -> None:
    """Count the outcome of a series (None for a plan), and the problem code of a failure."""
    if outcome:
        redis.hincrby(_OUTCOMES, outcome, 1)
    if cause:
        redis.hincrby(_CAUSES, cause, 1)


def count_stage_retries(redis: Counters, stages: Stages) -> None:
    """Add the repeated calls of a worker's stages, which has no metrics of its own."""
    for stage in stages.clients:
        for cause, count in stage.retries.counts.items():
            redis.hincrby(_RETRIES, f"{stage.name}:{cause}", count)


class QueueMetrics(Collector):
    """Collects the metrics at each scrape.

    Parameters
    ----------
    cache_s
        seconds for which gauges are cached
    clock
        seconds since 1970
    patience_s
        seconds for which a scrape waits for the store
    """

    def __init__(
        self,
        redis: Counters,
        store: JobStore,
        *,
        cache_s: float = CACHE_S,
        clock: Callable[[], float] = time.time,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._redis = redis
        self._store = store
        self._cache_s = cache_s
        self._clock = clock
        self._lock = threading.Lock()
        self._patience_s = patience_s
        self._reader: threading.Thread | None = None
        self._cached_at_s = 0.0
        self._gauges: list[Metric] = []
        self._series_counts: dict[str, int] = {}  # of each planned open job by its id

    def collect(self) -> Iterator[Metric]:
        """Open jobs, waiting series, age of the oldest job, series by outcome, failures by cause."""
        with self._lock:
            if self._clock() - self._cached_at_s >= self._cache_s:
                self._refresh()
            gauges = self._gauges
        yield from gauges
        yield from self._read_counters()

    def _refresh(self) -> None:
        """Read the gauges. A storage that does not answer in time leaves a gap: Prometheus gives a scrape 10 s."""
        if self._reader is None or not self._reader.is_alive():
            self._gauges = []
            self._reader = threading.Thread(target=self._read, name="queue-metrics", daemon=True)
            self._reader.start()
        self._reader.join(self._patience_s)

    def _read(self) -> None:
        try:
            self._gauges, self._cached_at_s = list(self._read_gauges()), self._clock()
        except OSError as error:
            log.warning("the store of jobs cannot be read for metrics", extra={"fields": {"errno": error.errno}})

    def _read_gauges(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("ich_jobs_open", "Jobs that have not ended", labels=["priority"])
        series = GaugeMetricFamily("ich_queue_series", "Series without a report, of planned jobs", labels=["priority"])
        oldest = GaugeMetricFamily("ich_queue_oldest_seconds", "Age of the oldest open job", labels=["priority"])
        known, self._series_counts = self._series_counts, {}
        for priority in PRIORITIES:
            by_sender = [self._store.open_jobs(priority, sender) for sender in self._store.senders(priority)]
            jobs.add_metric([priority], sum(map(len, by_sender)))
            series.add_metric([priority], sum(sum(self._waiting_series(found, known)) for found in by_sender))
            oldest.add_metric([priority], max((self._age_s(found[0]) for found in by_sender if found), default=0.0))
        yield from (jobs, series, oldest)

    def _waiting_series(self, jobs: Sequence[Job], known: Mapping[str, int]) -> Iterator[int]:
        """Series without a report of each planned job; `jobs` are a sender's, oldest first."""
        unplanned = 0
        for job in jobs:
            series = known.get(job.id) or _planned_series(job)
            unplanned = 0 if series else unplanned + 1
            if series:
                self._series_counts[job.id] = series
                yield max(0, series - len(job.outcomes()))
            if unplanned >= _MAX_UNPLANNED_RUN:
                return

    def _age_s(self, job: Job) -> float:
        """Seconds since the job's arrival: its id begins with milliseconds since 1970, as 12 hexadecimal digits."""
        return max(0.0, self._clock() - int(job.id[:12], 16) / 1e3)

    def _read_counters(self) -> Iterator[Metric]:
        """Families without samples while Redis is down: a gap, since a zero would be wrong."""
        outcomes = CounterMetricFamily("ich_job_series", "Series of jobs by outcome", labels=["outcome"])
        causes = CounterMetricFamily("ich_job_failures", "Failed series and jobs by problem code", labels=["cause"])
        retries = CounterMetricFamily(
            "ich_worker_stage_retries", "Calls of a stage that workers tried again", labels=["stage", "cause"]
        )
        with suppress(RedisError):
            for name, value in self._read_hash(_OUTCOMES, dict.fromkeys(OUTCOMES, 0)).items():
                outcomes.add_metric([name], value)
            for name, value in self._read_hash(_CAUSES, {}).items():
                causes.add_metric([name], value)
            for name, value in self._read_hash(_RETRIES, {}).items():
                retries.add_metric(name.split(":"), value)
        yield from (outcomes, causes, retries)

    def _read_hash(self, key: str, defaults: dict[str, int]) -> dict[str, int]:
        found: dict[bytes, bytes] = self._redis.hgetall(key)
        return {**defaults, **{name.decode(): int(value) for name, value in found.items()}}


def _planned_series(job: Job) -> int:
    plan = job.plan()
    return len(plan.series) if plan else 0
