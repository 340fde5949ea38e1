import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi.sse import ServerSentEvent

from services.common.clients import Client
from services.common.problems import Overloaded
from services.gateway.jobs.events import EventStreams, TooManyListeners, Update, job_update
from services.gateway.jobs.job import Job
from services.gateway.jobs.schemas import JobDocument
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.views import job_document
from services.gateway.settings import Settings
from tests.gateway.jobs.factories import always, job_of, report_of

pytestmark = pytest.mark.anyio
ANN, BOB = Client("ann", "a"), Client("bob", "b")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def job(store: JobStore, tmp_path: Path) -> Job:
    return job_of(store, tmp_path, 2)


def _events(draining: Callable[[], bool] = lambda: False) -> EventStreams:
    return EventStreams(Settings(), draining, poll_s=0)


async def _watch(events: EventStreams, read: Callable[[], JobDocument]) -> list[ServerSentEvent]:
    return [event async for event in events.watch("job", lambda: job_update(read()), always)]


def _update(store: JobStore, job: Job) -> Update:
    return job_update(job_document(store, job))


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
    events = await _watch(_events(), lambda: next(states))
    assert [event.event for event in events] == ["progress", "progress", "end"]
    found = [JobDocument.model_validate_json(str(event.raw_data)) for event in events]
    assert [document.progress.series_done for document in found] == [0, 1, 1]


async def test_listeners_of_a_job_share_its_reads(store: JobStore, job: Job) -> None:
    states, events = _states(store, job), _events()
    found = await asyncio.gather(*(_watch(events, lambda: next(states)) for _ in range(50)))
    assert {tuple(event.event for event in listener) for listener in found} == {("progress", "progress", "end")}
    assert list(states) == [], "four reads"


async def test_a_listener_that_comes_later_gets_the_present_state(store: JobStore, job: Job) -> None:
    events = _events()
    first = events.watch("job", lambda: _update(store, job), always)
    assert (await anext(first)).event == "progress"
    second = events.watch("job", lambda: _update(store, job), always)
    assert (await anext(second)).event == "progress"
    store.close(job, "routine", "finished")
    assert [event.event async for event in first] == [event.event async for event in second] == ["end"]
    assert [event.event for event in await _watch(events, lambda: job_document(store, job))] == ["end"]


async def test_a_stream_ends_with_its_credential(store: JobStore, job: Job) -> None:
    seen: list[ServerSentEvent] = []

    async def still_valid() -> bool:
        await asyncio.sleep(0)
        return not seen

    events = EventStreams(Settings(), lambda: False, poll_s=0, check_s=0)
    async for event in events.watch("job", lambda: _update(store, job), still_valid):
        seen += [event]
    assert len(seen) == 1


async def test_without_listeners_nothing_is_polled(store: JobStore, job: Job) -> None:
    events = _events()
    stream = events.watch("job", lambda: _update(store, job), always)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined] # it is an async generator
    await asyncio.sleep(0)
    assert not events._feeds
    assert not [task for task in asyncio.all_tasks() if "_poll" in repr(task)]


async def test_a_deleted_job_ends_with_gone(store: JobStore, job: Job) -> None:
    job.remove()
    events = await _watch(_events(), lambda: job_document(store, job))
    assert events == [ServerSentEvent(event="gone", raw_data="not_found")]


async def test_a_draining_gateway_ends_the_stream(store: JobStore, job: Job) -> None:
    draining = iter([False, True, True, True])
    events = await _watch(_events(lambda: next(draining)), lambda: job_document(store, job))
    assert [event.event for event in events] == ["progress"]


async def test_a_failing_read_ends_the_streams(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> JobDocument:
        raise OSError(5, "disk")

    assert await _watch(_events(), fail) == []
    assert "disk" in caplog.text


def test_a_client_and_all_clients_have_a_number_of_listeners() -> None:
    events = EventStreams(Settings(max_listeners=9, max_listeners_per_client=3), lambda: False)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(events.listening(ANN))
        with pytest.raises(TooManyListeners) as refused, events.listening(ANN):
            pass
        assert refused.value.headers() == {"retry-after": "10"}
        held.enter_context(events.listening(BOB))
    assert events.listeners.used == 0
    none = EventStreams(Settings(max_listeners=0), lambda: False)
    with pytest.raises(Overloaded), none.listening(ANN):
        pass
