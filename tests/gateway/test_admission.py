import asyncio
import time

import pytest

from services.common.problems import Overloaded
from services.gateway.admission import Admission, Limiter

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_slices_beyond_the_limit_are_refused_with_retry_after() -> None:
    admission = Admission(40)
    with admission.reserve(34):
        admission.check(6)
        with pytest.raises(Overloaded) as refused, admission.reserve(7):
            pass
        assert int(refused.value.headers()["retry-after"]) >= 1
        with admission.reserve(6), pytest.raises(Overloaded):
            admission.check(1)
    assert admission.reserved == 0
    admission.check(300)


def test_a_reservation_changes_from_the_announced_to_the_true_number() -> None:
    admission = Admission(40)
    with admission.reserve(30) as one, admission.reserve(1) as other:
        one.update(20)
        assert admission.reserved == 21
        with pytest.raises(Overloaded):
            other.update(21)
        other.update(20)
        assert admission.reserved == 40


def test_a_long_series_is_accepted_when_it_is_alone() -> None:
    admission = Admission(40)
    with admission.reserve(300), pytest.raises(Overloaded), admission.reserve(1):
        pass
    with admission.reserve(1) as reservation:
        reservation.update(300)


def test_a_slow_upload_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    admission, later = Admission(40), time.monotonic() + 11
    with admission.reserve(40) as slow:
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with admission.reserve(40), pytest.raises(Overloaded):
            slow.update(40)
        slow.update(40)
        assert admission.reserved == 40, "slices in progress always count"


def test_retry_after_is_the_time_of_the_slices_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, admission = [100.0], Admission(40)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with admission.reserve() as reservation:
        reservation.update(10)
        clock[0] += 5
    with admission.reserve(30), pytest.raises(Overloaded) as refused:
        admission.check(20)
    assert refused.value.headers()["retry-after"] == "15"


async def _hold(limiter: Limiter, slices: int, order: list[int], seconds: float = 0.01) -> None:
    async with limiter.acquire(slices):
        order.append(slices)
        await asyncio.sleep(seconds)


async def test_a_large_chunk_is_served_before_later_small_ones() -> None:
    limiter, order = Limiter(16), list[int]()
    async with limiter.acquire(10):
        tasks = [asyncio.create_task(_hold(limiter, slices, order)) for slices in (16, 1, 2)]
        await asyncio.sleep(0.02)
        assert order == [], "the small ones fit, but wait behind the large one"
    await asyncio.gather(*tasks)
    assert order == [16, 1, 2]


async def test_a_chunk_above_the_limit_holds_all_of_it() -> None:
    order: list[int] = []
    await _hold(Limiter(4), 300, order)
    assert order == [300]


async def test_a_cancelled_waiter_holds_nothing() -> None:
    limiter, order = Limiter(4), list[int]()
    async with limiter.acquire(4):
        gone = asyncio.create_task(_hold(limiter, 4, order))
        stays = asyncio.create_task(_hold(limiter, 3, order))
        await asyncio.sleep(0.01)
        gone.cancel()
    await stays
    await _hold(limiter, 4, order)
    assert order == [3, 4]
