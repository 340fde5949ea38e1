"""Limits and deadlines of the thread runner."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest
from anyio import to_thread

from services.common.deadline import DeadlineExceeded, current_deadline
from services.common.problems import BadRequest, Overloaded
from services.common.runners import ThreadRunner, deadline_of
from services.common.tensors import TIMEOUT_PARAMETER, Message, Tensor
from tests.common.test_inference_routes import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Gate:
    """A model that answers once `opened` is set."""

    def __init__(self) -> None:
        self.opened, self.calls = threading.Event(), 0

    def infer(self, message: Message) -> Message:
        self.calls += 1
        self.opened.wait(10)
        return message


async def test_an_expired_request_never_reaches_its_model() -> None:
    runner, model = ThreadRunner(Settings(threads=1)), Gate()
    first = asyncio.create_task(runner.run(model, Message(())))
    await asyncio.sleep(0.05)
    late = asyncio.create_task(runner.run(model, Message((), {TIMEOUT_PARAMETER: 1000})))
    await asyncio.sleep(0.05)
    model.opened.set()
    await first
    with pytest.raises(DeadlineExceeded):
        await late
    assert model.calls == 1


def test_reservations_are_released() -> None:
    runner = ThreadRunner(Settings(threads=1, max_waiting=0))
    for _ in range(3):
        with runner.reserve(10), pytest.raises(Overloaded), runner.reserve(10):
            pass


def test_a_timeout_is_microseconds() -> None:
    assert deadline_of(Message(())) == float("inf")
    begin = time.monotonic()
    deadline = deadline_of(Message((), {TIMEOUT_PARAMETER: 2_000_000}))
    assert deadline is not None
    assert begin + 2 <= deadline <= time.monotonic() + 2
    for wrong in ("soon", True):
        with pytest.raises(BadRequest):
            deadline_of(Message((), {TIMEOUT_PARAMETER: wrong}))


class Patient:
    """A model that works until its deadline ends it."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    def infer(self, message: Message) -> Message:
        deadline = current_deadline()
        self.begun.set()
        try:
            for _ in range(3000):
                deadline.check()
                time.sleep(0.01)
        finally:
            self.ended.set()
        return message


async def test_work_ends_in_the_middle_when_its_time_has_passed() -> None:
    with pytest.raises(DeadlineExceeded):
        await ThreadRunner(Settings(threads=1)).run(Patient(), Message((), {TIMEOUT_PARAMETER: 200_000}))


async def test_a_cancelled_request_ends_its_work() -> None:
    runner, model = ThreadRunner(Settings(threads=1)), Patient()
    request = asyncio.create_task(runner.run(model, Message(())))
    await asyncio.to_thread(model.begun.wait, 10)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert model.ended.is_set(), "the thread is free again"


class Pixels(bytearray):
    """Bytes with weak references."""


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
async def test_a_cancelled_request_leaves_no_reference_to_its_pixels() -> None:
    """Shared memory stays mapped while a cycle of a traceback and its frames refers to it."""
    pixels, model = Pixels(1), Patient()
    left = weakref.ref(pixels)
    message = Message((Tensor("x", "UINT8", (1,), (memoryview(pixels),)),))
    request = asyncio.create_task(ThreadRunner(Settings(threads=1)).run(model, message))
    await asyncio.to_thread(model.begun.wait, 10)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    del pixels, message, request
    await to_thread.run_sync(int)  # the idle thread drops the arguments of its last call
    assert left() is None
