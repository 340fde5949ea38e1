import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from services.cnn.batching import SLICE_BYTES, BatchLimits, DynamicBatcher
from services.cnn.extractor import batch_sizes, split_into_batches
from services.common.numpy_tensors import array_tensor, read_array
from services.common.problems import Overloaded
from services.common.runners import DeadlineExceeded
from services.common.tensors import TIMEOUT_PARAMETER, Message

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Network:
    """Each slice's number; notes the sizes it is asked for, and works when it is let."""

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
    """The model around it: rows of one number for slices."""

    def read(self, message: Message) -> NDArray[np.uint8]:
        return read_array(message, "slices", "UINT8", (None, 1))

    def answer(self, message: Message, given: dict[str, NDArray[np.float32]]) -> Message:
        features = given.get("features", np.zeros((0, 1), np.float32))
        return Message((array_tensor("features", features),), id=message.id)


def _request(numbers: Sequence[int], **parameters: int) -> Message:
    return Message((array_tensor("slices", np.array(numbers, np.uint8).reshape(-1, 1)),), parameters)


async def _numbers(batches: DynamicBatcher, numbers: Sequence[int], **parameters: int) -> list[float]:
    answer, work_ms = await batches.run(Numbers(), _request(numbers, **parameters))
    assert work_ms >= 0
    flat: list[float] = read_array(answer, "features", "FP32", (len(numbers), 1)).ravel().tolist()
    return flat


async def test_requests_that_wait_go_together_and_each_gets_its_own() -> None:
    network = Network(held=True)
    batches = DynamicBatcher(network, BatchLimits(max_batch=8))
    first = asyncio.create_task(_numbers(batches, [1]))
    await asyncio.sleep(0.05)
    rest = [asyncio.create_task(_numbers(batches, numbers)) for numbers in ([2, 3], [4], [5, 6, 7, 8], [9, 10])]
    await asyncio.sleep(0.05)
    network.let.set()
    assert await first == [1]
    assert [await task for task in rest] == [[2, 3], [4], [5, 6, 7, 8], [9, 10]]
    # 2 + 1 + 4 slices go together as 4 + 2 + 1, and then the two for which there was no room.
    assert network.sizes == [1, 4, 2, 1, 2]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 21])
async def test_any_number_of_slices_in_batches_of_the_fixed_sizes(count: int) -> None:
    network = Network()
    assert await _numbers(DynamicBatcher(network, BatchLimits(max_batch=8)), range(count)) == list(range(count))
    assert set(network.sizes) <= {1, 2, 4, 8}


async def test_a_batch_that_is_not_full_waits_where_it_is_told_to() -> None:
    network = Network()
    batches = DynamicBatcher(network, BatchLimits(max_batch=8, max_delay_s=0.2))
    first = asyncio.create_task(_numbers(batches, [1, 2]))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(_numbers(batches, [3, 4]))
    assert (await first, await second) == ([1, 2], [3, 4])
    assert network.sizes == [4]


async def test_work_that_nobody_waits_for_is_dropped() -> None:
    network, registry = Network(held=True), CollectorRegistry()
    batches = DynamicBatcher(network, BatchLimits(max_batch=4), registry)
    first = asyncio.create_task(_numbers(batches, [1]))
    await asyncio.sleep(0.05)
    gone, late, stays = (
        asyncio.create_task(_numbers(batches, numbers, **parameters))
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


async def test_a_network_that_answers_too_few_slices_leaves_nobody_waiting() -> None:
    network = Network()
    network.short = True
    with pytest.raises(ValueError, match="another number of slices"):
        await asyncio.wait_for(_numbers(DynamicBatcher(network, BatchLimits()), [1, 2]), 10)


async def test_a_fault_is_told_to_those_whom_it_met_and_the_next_are_served() -> None:
    network = Network()
    network.broken = True
    batches = DynamicBatcher(network, BatchLimits())
    with pytest.raises(RuntimeError, match="out of memory"):
        await _numbers(batches, [1])
    network.broken = False
    assert await _numbers(batches, [2]) == [2]


def test_slices_are_refused_before_memory_runs_out() -> None:
    batches = DynamicBatcher(Network(), BatchLimits(max_held=20))
    with batches.reserve(16 * SLICE_BYTES + 300):
        with pytest.raises(Overloaded) as refused, batches.reserve(5 * SLICE_BYTES + 300):
            pass
        assert int(refused.value.headers()["retry-after"]) >= 1
        with batches.reserve(4 * SLICE_BYTES + 300):
            pass
    with batches.reserve(300 * SLICE_BYTES):
        pass  # alone, any request is taken


def test_sizes_are_powers_of_two_and_the_largest() -> None:
    assert batch_sizes(16) == (16, 8, 4, 2, 1)
    assert batch_sizes(12) == (12, 8, 4, 2, 1)
    assert batch_sizes(1) == (1,)
    assert [len(part) for part in split_into_batches(np.zeros((31, 1), np.uint8), batch_sizes(16))] == [16, 8, 4, 2, 1]
