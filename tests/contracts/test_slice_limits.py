"""Readers of slices and predictions share preprocess: limits, turns, and readers who leave."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import pytest
from redis import Redis

from services.gateway.settings import Settings
from tests.contracts.conftest import Chain
from tests.contracts.test_client_disconnect import served
from tests.contracts.test_jobs import Batch
from tests.contracts.test_slices import finished
from tests.redis_process import redis_url, running_redis
from tests.scans import ct_slice

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
def gateway_settings(gateway_settings: Settings, redis: Redis) -> Settings:
    redis.flushall()
    return gateway_settings.model_copy(update={"redis_url": redis_url(redis), "slices_rendered_at_once": 4})


@pytest.fixture
async def batch(chain: Chain, redis: Redis) -> AsyncIterator[Batch]:
    found = Batch(chain, redis)
    yield found
    await found.stages.close()


class Held(httpx.AsyncBaseTransport):
    """Holds requests for slices until it is released; counts those that were cancelled."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.released = anyio.Event()
        self.waiting = self.most = self.cancelled = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await self.released.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        return await self.inner.handle_async_request(request)


@pytest.fixture
def held(batch: Batch) -> Held:
    return Held(batch.chain.transports["preprocess"].inner)


async def test_readers_hold_few_slices_and_a_burst_is_refused_before_it_waits(batch: Batch, held: Held) -> None:
    series, _ = await finished(batch, {f"{index}.dcm": ct_slice(index) for index in range(2)})
    batch.chain.transports["preprocess"].inner = held
    limit = batch.chain.settings.slices_rendered_at_once
    answers: list[httpx.Response] = []

    async def read() -> None:
        answers.append(await batch.chain.client.get(f"{series}/slices/0"))

    async with anyio.create_task_group() as tasks:
        for _ in range(40 * limit):
            tasks.start_soon(read)
        await until(lambda: answers)
        await until(lambda: held.waiting == limit)
        refused = len(answers)
        held.released.set()
    assert held.most == limit
    assert {answer.json()["code"] for answer in answers[:refused]} == {"overloaded"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers[:refused])
    assert {answer.status_code for answer in answers[refused:]} <= {200, 503}
    assert sum(answer.status_code == 200 for answer in answers) >= 16 * limit


async def test_predictions_do_not_wait_for_readers(batch: Batch, held: Held) -> None:
    """Readers have a limit of their own, so that their requests in progress take no turn of a prediction."""
    files = {f"{index}.dcm": ct_slice(index) for index in range(2)}
    series, report = await finished(batch, files)
    batch.chain.transports["preprocess"].inner = held
    async with anyio.create_task_group() as tasks:
        for _ in range(3 * batch.chain.settings.slices_rendered_at_once):
            tasks.start_soon(batch.chain.client.get, f"{series}/slices/0")
        await until(lambda: held.waiting == batch.chain.settings.slices_rendered_at_once)
        batch.chain.transports["preprocess"].inner = held.inner
        answer = await batch.chain.predict(files)
        assert answer.json()["series"] == report["series"]
        held.released.set()


async def test_a_reader_who_leaves_ends_the_work(batch: Batch, held: Held) -> None:
    series, _ = await finished(batch, {f"{index}.dcm": ct_slice(index) for index in range(2)})
    batch.chain.transports["preprocess"].inner = held
    async with served(batch.chain.gateway) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {series}/slices/1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await until(lambda: held.waiting)
        writer.close()
        await until(lambda: held.cancelled)
    assert held.waiting == 0


async def until(condition: Callable[[], object]) -> None:
    for _ in range(2000):
        if condition():
            return
        await anyio.sleep(0.005)
    raise AssertionError("the condition never became true")
