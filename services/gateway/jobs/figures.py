"""Figures of the queue for `/metrics`: what waits by the store, what was done by counters in Redis."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from services.common.problems import NotFound
from services.gateway.jobs.schemas import OUTCOMES, PRIORITIES, Priority, now
from services.gateway.jobs.store import JobStore

_COUNTS: Final = "ich:outcomes"


def count(redis: Redis, outcome: str) -> None:
    """One more series came to this end."""
    redis.hincrby(_COUNTS, outcome, 1)


class QueueFigures(Collector):
    """Collected when they are asked for."""

    def __init__(self, redis: Redis, store: JobStore) -> None:
        self._redis = redis
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Jobs and series that wait, the age of the oldest job, and series by what became of them."""
        jobs = GaugeMetricFamily("ich_jobs_open", "Jobs not at their end", labels=["priority"])
        series = GaugeMetricFamily("ich_queue_series", "Series without a report, of planned jobs", labels=["priority"])
        oldest = GaugeMetricFamily("ich_queue_oldest_seconds", "Age of the oldest open job", labels=["priority"])
        for priority in PRIORITIES:
            waiting, ages = self._waiting(priority)
            jobs.add_metric([priority], len(ages))
            series.add_metric([priority], waiting)
            oldest.add_metric([priority], max(ages, default=0.0))
        yield from (jobs, series, oldest, self._done())

    def _waiting(self, priority: Priority) -> tuple[int, list[float]]:
        series, ages = 0, []
        for sender in self._store.senders(priority):
            for job in self._store.open_jobs(priority, sender):
                with suppress(NotFound):
                    ages.append(_seconds_since(job.manifest().created))
                    plan = job.plan()
                    series += len(plan.units) - len(job.outcomes()) if plan else 0
        return series, ages

    def _done(self) -> Metric:
        done = CounterMetricFamily("ich_job_series", "Series of jobs by what became of them", labels=["outcome"])
        with suppress(RedisError):
            for outcome in OUTCOMES:
                done.add_metric([outcome], float(self._redis.hget(_COUNTS, outcome) or 0))
        return done


def _seconds_since(moment: str) -> float:
    return (datetime.fromisoformat(now()) - datetime.fromisoformat(moment)).total_seconds()
