"""Retries after faults, with fake stages. tests/contracts has the real stages."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from redis import Redis

from services.common.retry_policy import RetryPolicy
from services.common.schemas import HeadersReport, SetAsideFile
from services.gateway.jobs.attempts import Attempts
from services.gateway.jobs.processing import (
    MAX_LOST_WORKERS,
    MAX_STAGE_FAULTS,
    Deferred,
    TaskContext,
    TaskResult,
    process_task,
)
from services.gateway.jobs.scheduler import Task
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.settings import Settings
from services.gateway.stages.stage_client import StageClient, Stages
from tests.gateway.jobs.factories import headers_response, job_of, upload

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Preprocess:
    """A stage that responds with these statuses in turn, then with a report without series."""

    def __init__(self, *statuses: int, ready: bool = True) -> None:
        self.statuses = list(statuses)
        self.ready = ready
        self.requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return _streamed(200 if self.ready else 503, b"{}")
        self.requests += 1
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return _streamed(status, b"{}")
        headers, body = headers_response(HeadersReport(set_aside=(SetAsideFile(file=0, code="not_dicom"),)))
        return _streamed(200, body, headers)


def _streamed(status: int, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    return httpx.Response(status, headers=headers, content=pieces())


MakeContext = Callable[..., TaskContext]


@pytest.fixture
def context(redis: Redis) -> MakeContext:
    def make(preprocess: Preprocess, task: Task, give_up_s: float = 60) -> TaskContext:
        client = httpx.AsyncClient(transport=httpx.MockTransport(preprocess), base_url="http://stage")
        stages = Stages(*(StageClient(name, client) for name in ("preprocess", "cnn", "rnn")))
        return TaskContext(stages, Settings(), Attempts(redis, task.id), RetryPolicy(0.001, give_up_s))

    return make


@pytest.fixture
def plan(store: JobStore, tmp_path: Path) -> Task:
    return Task(upload(store, tmp_path, {"notes.txt": b"no image"}, JobOptions("ann", "routine", "default"))[0])


@pytest.fixture
def series(store: JobStore, tmp_path: Path) -> Task:
    return Task(job_of(store, tmp_path), 0)


async def test_files_of_no_series_are_left_out_with_a_reason(context: MakeContext, plan: Task) -> None:
    assert await process_task(plan, context(Preprocess(), plan), 0) == TaskResult(None, "no_series")
    found = plan.job.plan()
    assert found
    assert (list(found.series), found.problem) == ([], None)
    assert [(item.file, item.code) for item in found.left_out] == [("notes.txt", "not_dicom")]
    assert found.left_out[0].reason


async def test_a_task_is_retried_after_a_fault_of_a_stage(context: MakeContext, plan: Task) -> None:
    preprocess = Preprocess(500, 500, 200)
    await process_task(plan, context(preprocess, plan), 0)
    assert preprocess.requests == 3
    assert plan.job.plan()


async def test_a_series_that_makes_a_ready_stage_fail_has_limited_attempts(context: MakeContext, series: Task) -> None:
    preprocess = Preprocess(*[500] * 20)
    made = context(preprocess, series)
    assert await process_task(series, made, 0) == TaskResult("failed", "stage_failed")
    assert preprocess.requests == MAX_STAGE_FAULTS
    report = json.loads(series.job.report(0))
    assert report["problem"]["code"] == "stage_failed"
    assert report["id"] == f"{series.job.id}-000000"
    assert report["series"]["series_instance_uid"] == "2.25.1.0"


async def test_an_unavailable_stage_counts_once_and_defers_the_task(context: MakeContext, series: Task) -> None:
    preprocess = Preprocess(*[500] * 20, ready=False)
    for _ in range(MAX_STAGE_FAULTS + 2):
        with pytest.raises(Deferred):
            await process_task(series, context(preprocess, series, give_up_s=0.05), 0)
    assert preprocess.requests == 1
    assert series.job.outcomes() == {}


async def test_faults_of_a_busy_stage_do_not_count(context: MakeContext, series: Task) -> None:
    preprocess = Preprocess(*[503] * 2 * (MAX_STAGE_FAULTS + 1))
    made = context(preprocess, series)
    for _ in range(2):
        with pytest.raises(Deferred):
            await process_task(series, TaskContext(made.stages, made.settings, made.attempts, RetryPolicy(1, 0)), 0)
    assert series.job.outcomes() == {}


async def test_a_task_fails_after_job_patience_s(context: MakeContext, series: Task) -> None:
    made = context(Preprocess(500, ready=False), series)
    impatient = TaskContext(made.stages, Settings(job_patience_s=0), made.attempts, RetryPolicy(0.001, 15))
    assert await process_task(series, impatient, 0) == TaskResult("failed", "stage_failed")
    assert json.loads(series.job.report(0))["problem"]["code"] == "stage_failed"


async def test_a_task_fails_after_several_lost_workers(context: MakeContext, series: Task, plan: Task) -> None:
    preprocess = Preprocess()
    assert await process_task(series, context(preprocess, series), MAX_LOST_WORKERS) == TaskResult(
        "failed", "worker_lost"
    )
    assert json.loads(series.job.report(0))["problem"]["code"] == "worker_lost"
    await process_task(plan, context(preprocess, plan), MAX_LOST_WORKERS)
    found = plan.job.plan()
    assert found
    assert found.problem
    assert found.problem["code"] == "worker_lost"
    assert preprocess.requests == 0
