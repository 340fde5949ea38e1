from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.sse import ServerSentEvent

from services.gateway.jobs.events import job_events
from services.gateway.jobs.job import Job
from services.gateway.jobs.schemas import JobDocument
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.views import job_document
from tests.gateway.jobs.factories import job_of, report_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def job(store: JobStore, tmp_path: Path) -> Job:
    return job_of(store, tmp_path, 2)


def _states(store: JobStore, job: Job) -> Iterator[JobDocument]:
    """The job's document at each poll; the job gets a report, then ends."""
    yield job_document(store, job)
    yield job_document(store, job)
    job.create_report(0, report_of("assessed"))
    yield job_document(store, job)
    store.close(job, "routine", "finished")
    yield job_document(store, job)


async def test_each_change_is_one_event_and_the_last_is_end(store: JobStore, job: Job) -> None:
    states = _states(store, job)
    events = [event async for event in job_events(lambda: next(states), lambda: False, poll_s=0)]
    assert [event.event for event in events] == ["progress", "progress", "end"]
    found = [JobDocument.model_validate_json(str(event.raw_data)) for event in events]
    assert [document.progress.series_done for document in found] == [0, 1, 1]


async def test_a_deleted_job_ends_with_gone(store: JobStore, job: Job) -> None:
    job.remove()
    events = [event async for event in job_events(lambda: job_document(store, job), lambda: False, poll_s=0)]
    assert events == [ServerSentEvent(event="gone", raw_data="not_found")]


async def test_a_draining_gateway_ends_the_stream(store: JobStore, job: Job) -> None:
    draining = iter([False, True])
    events = [event async for event in job_events(lambda: job_document(store, job), lambda: next(draining), poll_s=0)]
    assert [event.event for event in events] == ["progress"]
