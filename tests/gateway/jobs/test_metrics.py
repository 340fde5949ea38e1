"""Metrics of the queue, with counters in a dictionary."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from redis.exceptions import RedisError

from services.common.timestamps import utc_now
from services.gateway.jobs.job import Job
from services.gateway.jobs.metrics import QueueMetrics, count_result, count_stage_retries
from services.gateway.jobs.schemas import Plan, PlannedSeries, Priority
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.stages.stage_client import Stages, connect
from services.gateway.uploads.spool import Spool, SpoolFolder
from tests.gateway.jobs.conditions import wait_until
from tests.gateway.jobs.factories import report_of


class CountersInMemory:
    """Hashes of Redis."""

    def __init__(self) -> None:
        self.hashes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.down = False

    def hincrby(self, name: str, key: str, amount: int) -> None:
        self.hashes[name][key] += amount

    def hgetall(self, name: str) -> dict[bytes, bytes]:
        if self.down:
            raise RedisError
        return {key.encode(): str(value).encode() for key, value in self.hashes[name].items()}


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def counters() -> CountersInMemory:
    return CountersInMemory()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scrape(counters: CountersInMemory, store: JobStore, clock: Clock) -> Callable[[], dict[str, float]]:
    """The samples of a scrape."""
    registry = CollectorRegistry()
    registry.register(QueueMetrics(counters, store, cache_s=5.0, clock=clock))

    def scrape() -> dict[str, float]:
        lines = generate_latest(registry).decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}

    return scrape


def _job(store: JobStore, folder: Path, sender: str = "one", priority: Priority = "routine") -> Job:
    folder.mkdir()
    job, _ = store.accept(SpoolFolder(folder), [], JobOptions(sender, priority, "default"))
    return job


def _planned(job: Job, series: int) -> Job:
    planned = [PlannedSeries(study_uid="1", series_uid=str(n), files=(), slices=1) for n in range(series)]
    job.create_plan(Plan(started=utc_now(), slices=(1,) * series), planned)
    return job


def test_gauges_have_a_value_for_each_priority(
    store: JobStore, clock: Clock, tmp_path: Path, scrape: Callable[[], dict[str, float]]
) -> None:
    first = _planned(_job(store, tmp_path / "1"), 5)
    first.create_report(2, report_of("assessed"))
    _planned(_job(store, tmp_path / "2", "two"), 3)
    _job(store, tmp_path / "3", priority="urgent")
    clock.now_s = int(first.id[:12], 16) / 1e3 + 60

    found = scrape()

    assert found['ich_jobs_open{priority="routine"}'] == 2
    assert found['ich_jobs_open{priority="urgent"}'] == 1
    assert found['ich_queue_series{priority="routine"}'] == 7
    assert found['ich_queue_series{priority="urgent"}'] == 0
    assert found['ich_queue_oldest_seconds{priority="routine"}'] == pytest.approx(60)


def test_an_empty_queue_has_age_zero(clock: Clock, scrape: Callable[[], dict[str, float]]) -> None:
    clock.now_s = 1e9
    assert scrape()['ich_queue_oldest_seconds{priority="routine"}'] == 0


def test_gauges_are_cached_for_a_few_seconds(
    store: JobStore, clock: Clock, tmp_path: Path, scrape: Callable[[], dict[str, float]]
) -> None:
    clock.now_s = 1e9
    scrape()
    job = _planned(_job(store, tmp_path / "1"), 2)
    clock.now_s += 4
    assert scrape()['ich_jobs_open{priority="routine"}'] == 0
    clock.now_s += 1
    assert scrape()['ich_queue_series{priority="routine"}'] == 2

    job.create_report(0, report_of("failed"))
    store.close(job, "routine", "cancelled")
    clock.now_s += 5
    assert scrape()['ich_queue_series{priority="routine"}'] == 0


def test_series_are_counted_by_outcome_and_failures_by_cause(
    counters: CountersInMemory, scrape: Callable[[], dict[str, float]]
) -> None:
    count_result(counters, "assessed", None)
    count_result(counters, "failed", "unusable_files")
    count_result(counters, "failed", "unusable_files")
    count_result(counters, None, "no_series")

    found = scrape()

    assert found['ich_job_series_total{outcome="assessed"}'] == 1
    assert found['ich_job_series_total{outcome="not_assessed"}'] == 0
    assert found['ich_job_series_total{outcome="failed"}'] == 2
    assert found['ich_job_failures_total{cause="unusable_files"}'] == 2
    assert found['ich_job_failures_total{cause="no_series"}'] == 1


def test_without_redis_there_are_gauges_and_no_counters(
    counters: CountersInMemory, clock: Clock, scrape: Callable[[], dict[str, float]]
) -> None:
    clock.now_s, counters.down = 1e9, True
    found = scrape()
    assert found['ich_jobs_open{priority="routine"}'] == 0
    assert not [name for name in found if name.startswith("ich_job_")]


def test_workers_add_their_retries(counters: CountersInMemory, scrape: Callable[[], dict[str, float]]) -> None:
    stages = Stages(*(connect(name, "http://stage", 1, 1) for name in ("preprocess", "cnn", "rnn")))
    stages.cnn.retries.counts["broken"] = 2
    for _ in range(2):
        count_stage_retries(counters, stages)
    assert {key: value for key, value in scrape().items() if "stage_retries" in key} == {
        'ich_worker_stage_retries_total{cause="broken",stage="cnn"}': 4
    }


class UnreliableStorage(LocalStorage):
    """Answers once `answers` is set; fails while `fails` is."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda _: None)
        self.answers, self.fails = threading.Event(), False

    def names(self, key: str) -> list[str]:
        self.answers.wait()
        if self.fails:
            raise OSError(5, "broken")
        return super().names(key)


def test_a_storage_that_fails_or_does_not_answer_leaves_a_gap(
    counters: CountersInMemory, clock: Clock, tmp_path: Path
) -> None:
    storage = UnreliableStorage(tmp_path / "store")
    metrics = QueueMetrics(
        counters, JobStore(storage, Spool(tmp_path / "incoming")), clock=clock, cache_s=0, patience_s=0.01
    )

    def families() -> set[str]:
        return {family.name for family in metrics.collect()}

    counted = {"ich_job_series", "ich_job_failures", "ich_worker_stage_retries"}
    try:
        assert [families(), families()] == [counted, counted]
    finally:
        storage.answers.set()
    wait_until(lambda: "ich_jobs_open" in families())
    storage.fails = True
    wait_until(lambda: families() == counted)
