import asyncio
import threading
import time

import httpx
import pytest
from fastapi import FastAPI, Request

from services.common.problems import BadRequest, ClientClosedRequest, Overloaded
from services.common.runners import DeadlineExceeded, ThreadRunner, cancel_on_disconnect, deadline_of
from services.common.tensors import TIMEOUT_PARAMETER, Message
from tests.common.test_stage import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Gate:
    """A model that answers when it is let."""

    def __init__(self) -> None:
        self.opened, self.calls = threading.Event(), 0

    def infer(self, message: Message) -> Message:
        self.calls += 1
        self.opened.wait(10)
        return message


async def test_what_waits_longer_than_its_caller_is_never_begun() -> None:
    threads, model = ThreadRunner(Settings(threads=1)), Gate()
    first = asyncio.create_task(threads.run(model, Message(())))
    await asyncio.sleep(0.05)
    late = asyncio.create_task(threads.run(model, Message((), {TIMEOUT_PARAMETER: 1000})))
    await asyncio.sleep(0.05)
    model.opened.set()
    await first
    with pytest.raises(DeadlineExceeded):
        await late
    assert model.calls == 1


def test_places_are_given_back() -> None:
    threads = ThreadRunner(Settings(threads=1, max_waiting=0))
    for _ in range(3):
        with threads.reserve(10), pytest.raises(Overloaded), threads.reserve(10):
            pass


def test_a_timeout_is_microseconds() -> None:
    assert deadline_of(Message(())) == float("inf")
    assert deadline_of(Message((), {TIMEOUT_PARAMETER: 2_000_000})) == pytest.approx(time.monotonic() + 2, abs=0.1)
    for wrong in ("soon", True):
        with pytest.raises(BadRequest):
            deadline_of(Message((), {TIMEOUT_PARAMETER: wrong}))


async def test_work_ends_where_the_caller_has_gone() -> None:
    ended = asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.sleep(10)
        finally:
            ended.set()
        return "nobody hears it"

    async def receive() -> dict[str, str]:
        await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    with pytest.raises(ClientClosedRequest):
        await cancel_on_disconnect(Request({"type": "http"}, receive), work())
    assert ended.is_set()


async def test_work_that_is_wanted_comes_back_as_it_is() -> None:
    app = FastAPI()

    @app.post("/")
    async def answer(request: Request) -> str:
        await request.body()
        return await cancel_on_disconnect(request, asyncio.sleep(0, "done"))

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        assert (await client.post("/", content=b"x")).json() == "done"
