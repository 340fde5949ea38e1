import logging
from pathlib import Path

import pytest
from redis import Redis

from services.common.problems import NotFound
from services.gateway.jobs.attempts import Attempts
from services.gateway.jobs.processing import Deferred, TaskResult
from services.gateway.jobs.scheduler import Task
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.tasks import run_task
from tests.gateway.jobs.factories import job_of


@pytest.fixture
def task(store: JobStore, tmp_path: Path) -> Task:
    return Task(job_of(store, tmp_path), 0)


def _lost_workers(task: Task, redis: Redis) -> int:
    return Attempts(redis, task.id).begin()


class Failing:
    """Processing that raises an error, or ends; it records the numbers of lost workers."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.lost: list[int] = []

    def __call__(self, _: Attempts, lost: int) -> TaskResult | None:
        self.lost.append(lost)
        if self.error:
            raise self.error
        return TaskResult("assessed", None)


def test_a_finished_task_is_counted_and_its_attempts_are_cleared(task: Task, redis: Redis) -> None:
    assert run_task(task, redis, Failing())
    assert redis.keys("ich:tries:*") == []
    assert redis.hget("ich:outcomes", "assessed") == b"1"


def test_an_unexpected_exception_counts_as_a_lost_worker(
    task: Task, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    process = Failing(RuntimeError("CANARY"))
    for _ in range(3):
        assert not run_task(task, redis, process)
    assert process.lost == [0, 1, 2]
    assert "a task failed" in caplog.text


@pytest.mark.parametrize("error", [Deferred(), OSError(28, "full")])
def test_deferred_tasks_and_full_disks_do_not_count(task: Task, redis: Redis, error: Exception) -> None:
    for _ in range(5):
        assert not run_task(task, redis, Failing(error), full_disk_pause_s=0)
    assert _lost_workers(task, redis) == 0
    assert task.job.outcomes() == {}


def test_a_cancelled_job_logs_no_warning(
    store: JobStore, task: Task, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    store.cancel(task.job, "routine")
    run_task(task, redis, Failing(FileNotFoundError()), full_disk_pause_s=60)
    task.job.remove()
    run_task(task, redis, Failing(NotFound("gone")))
    assert caplog.records == []
