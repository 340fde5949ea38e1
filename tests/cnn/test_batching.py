"""Dynamic batching of several requests' slices."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from services.cnn.batching import SLICE_BYTES, BatchLimits, DynamicBatcher
from services.common.deadline import DeadlineExceeded
from services.common.numpy_tensors import array_tensor, read_array
from services.common.problems import Overloaded
from services.common.tensors import TIMEOUT_PARAMETER, Message

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Network:
    """Returns each slice's number, records the batch sizes, and runs once `let` is set."""

    def __init__(self, *, held: bool = False) -> None:
        self.sizes: list[int] = []
        self.let = threading.Event()
        self.broken = self.short = False
        if not held:
            self.let.set()

    def extract(self, slices: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        self.let.wait(10)
        self.sizes.append(len(slices))
        if self.broken:
            raise RuntimeError("out of memory")
        if self.short:
            slices = slices[1:]
        return {"features": slices[:, :1].astype(np.float32)}


class Numbers:
    """A model whose slices are rows of one number."""

    def read(self, message: Message) -> NDArray[np.uint8]:
        return read_array(message, "slices", "UINT8", (None, 1))

    def answer(self, message: Message, outputs: dict[str, NDArray[np.float32]]) -> Message:
        features = outputs.get("features", np.zeros((0, 1), np.float32))
        return Message((array_tensor("features", features),), id=message.id)


def _request(numbers: Sequence[int], **parameters: int) -> Message:
    return Message((array_tensor("slices", np.array(numbers, np.uint8).reshape(-1, 1)),), parameters)


async def _numbers(batcher: DynamicBatcher, numbers: Sequence[int], **parameters: int) -> list[float]:
    answer, work_ms = await batcher.run(Numbers(), _request(numbers, **parameters))
    assert work_ms >= 0
    flat: list[float] = read_array(answer, "features", "FP32", (len(numbers), 1)).ravel().tolist()
    return flat


async def test_waiting_requests_share_a_batch_and_each_gets_its_own_rows() -> None:
    network = Network(held=True)
    batcher = DynamicBatcher(network, BatchLimits(max_batch=8))
    first = asyncio.create_task(_numbers(batcher, [1]))
    await asyncio.sleep(0.05)
    rest = [asyncio.create_task(_numbers(batcher, numbers)) for numbers in ([2, 3], [4], [5, 6, 7, 8], [9, 10])]
    await asyncio.sleep(0.05)
    network.let.set()
    assert await first == [1]
    assert [await task for task in rest] == [[2, 3], [4], [5, 6, 7, 8], [9, 10]]
    # 2 + 1 + 4 slices share a batch, split into 4 + 2 + 1; the last two slices had no room in it.
    assert network.sizes == [1, 4, 2, 1, 2]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 21])
async def test_any_number_of_slices_runs_in_fixed_batch_sizes(count: int) -> None:
    network = Network()
    assert await _numbers(DynamicBatcher(network, BatchLimits(max_batch=8)), range(count)) == list(range(count))
    assert set(network.sizes) <= {1, 2, 4, 8}


async def test_a_batch_below_its_limit_waits_for_the_delay() -> None:
    network = Network()
    batcher = DynamicBatcher(network, BatchLimits(max_batch=8, max_delay_s=0.2))
    first = asyncio.create_task(_numbers(batcher, [1, 2]))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(_numbers(batcher, [3, 4]))
    assert (await first, await second) == ([1, 2], [3, 4])
    assert network.sizes == [4]


async def test_slices_of_cancelled_and_expired_requests_are_dropped() -> None:
    network, registry = Network(held=True), CollectorRegistry()
    batcher = DynamicBatcher(network, BatchLimits(max_batch=4), registry)
    first = asyncio.create_task(_numbers(batcher, [1]))
    await asyncio.sleep(0.05)
    gone, late, stays = (
        asyncio.create_task(_numbers(batcher, numbers, **parameters))
        for numbers, parameters in (([2, 3], {}), ([4], {TIMEOUT_PARAMETER: 1000}), ([5], {}))
    )
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.sleep(0)
    network.let.set()
    assert (await first, await stays) == ([1], [5])
    with pytest.raises(DeadlineExceeded):
        await late
    assert network.sizes == [1, 1]
    dropped = [
        registry.get_sample_value("ich_cnn_dropped_slices_total", {"why": why}) for why in ("caller_gone", "too_late")
    ]
    assert dropped == [2, 1]


async def test_too_few_rows_from_the_network_fail_the_request() -> None:
    network = Network()
    network.short = True
    with pytest.raises(ValueError, match="2 rows"):
        await asyncio.wait_for(_numbers(DynamicBatcher(network, BatchLimits()), [1, 2]), 10)


async def test_an_error_fails_its_batch_only() -> None:
    network = Network()
    network.broken = True
    batcher = DynamicBatcher(network, BatchLimits())
    with pytest.raises(RuntimeError, match="out of memory"):
        await _numbers(batcher, [1])
    network.broken = False
    assert await _numbers(batcher, [2]) == [2]


def test_requests_beyond_the_limit_are_refused() -> None:
    batcher = DynamicBatcher(Network(), BatchLimits(max_held=20))
    with batcher.reserve(16 * SLICE_BYTES + 300):
        with pytest.raises(Overloaded) as refused, batcher.reserve(5 * SLICE_BYTES + 300):
            pass
        assert int(refused.value.headers()["retry-after"]) >= 1
        with batcher.reserve(4 * SLICE_BYTES + 300):
            pass
    with batcher.reserve(300 * SLICE_BYTES):
        pass  # a request alone is always accepted


async def test_the_gauge_counts_slices_that_wait_and_slices_in_work() -> None:
    network, registry = Network(held=True), CollectorRegistry()
    batcher = DynamicBatcher(network, BatchLimits(max_batch=4), registry)

    async def request(count: int) -> None:
        with batcher.reserve(count * SLICE_BYTES + 300):
            await _numbers(batcher, range(count))

    tasks = [asyncio.create_task(request(count)) for count in (4, 16, 3)]
    await asyncio.sleep(0)
    assert registry.get_sample_value("ich_cnn_held_slices") == 4 + 16 + 3
    network.let.set()
    await asyncio.gather(*tasks)
    assert registry.get_sample_value("ich_cnn_held_slices") == 0
