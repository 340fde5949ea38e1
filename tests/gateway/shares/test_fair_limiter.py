import asyncio

import pytest

from services.common.clients import Client
from services.gateway.shares.fair_limiter import FairLimiter

pytestmark = pytest.mark.anyio
ANN, ANNS_OTHER, BOB = Client("ann", "a"), Client("ann", "b"), Client("bob", "a")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _hold(limiter: FairLimiter, amount: int, order: list[str], name: str = "", client: Client = ANN) -> None:
    async with limiter.acquire(amount, client):
        order.append(name or str(amount))
        await asyncio.sleep(0)


async def _queue(limiter: FairLimiter, wishes: list[tuple[str, Client]], order: list[str]) -> None:
    """Let all wait, each for the whole limit, in this order."""
    async with limiter.acquire(1, Client("other", "c")):
        tasks = [asyncio.create_task(_hold(limiter, 1, order, name, client)) for name, client in wishes]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)


async def test_clients_take_turns() -> None:
    order = list[str]()
    flood = [(f"ann {number}", ANN) for number in range(4)]
    await _queue(FairLimiter(1), [*flood, ("bob 0", BOB), ("bob 1", BOB)], order)
    assert order == ["ann 0", "bob 0", "ann 1", "bob 1", "ann 2", "ann 3"]


async def test_addresses_of_a_sender_take_turns_within_its_share() -> None:
    order = list[str]()
    wishes = [("ann 0", ANN), ("ann 1", ANN), ("other 0", ANNS_OTHER), ("bob 0", BOB), ("bob 1", BOB)]
    await _queue(FairLimiter(1), wishes, order)
    assert order == ["ann 0", "bob 0", "other 0", "bob 1", "ann 1"]


async def test_a_newcomer_is_served_before_those_who_were_just_served() -> None:
    limiter, order = FairLimiter(1), list[str]()
    await _hold(limiter, 1, order, "ann 0")
    await _queue(limiter, [("ann 1", ANN), ("ann 2", ANN), ("bob 0", BOB)], order)
    assert order == ["ann 0", "bob 0", "ann 1", "ann 2"]


async def test_a_large_chunk_is_served_before_later_small_ones() -> None:
    limiter, order = FairLimiter(16), list[str]()
    async with limiter.acquire(10):
        tasks = [asyncio.create_task(_hold(limiter, amount, order)) for amount in (16, 1, 2)]
        await asyncio.sleep(0.02)
        assert order == [], "the small ones fit, but wait behind the large one"
    await asyncio.gather(*tasks)
    assert order == ["16", "1", "2"]


async def test_a_chunk_above_the_limit_holds_all_of_it() -> None:
    order = list[str]()
    await _hold(FairLimiter(4), 300, order)
    assert order == ["300"]


async def test_a_cancelled_waiter_holds_nothing() -> None:
    limiter, order = FairLimiter(4), list[str]()
    async with limiter.acquire(4):
        gone = asyncio.create_task(_hold(limiter, 4, order))
        stays = asyncio.create_task(_hold(limiter, 3, order))
        await asyncio.sleep(0.01)
        gone.cancel()
    await stays
    await _hold(limiter, 4, order)
    assert order == ["3", "4"]


async def test_a_sender_leaves_a_part_of_a_shared_limit_to_others() -> None:
    limiter, order = FairLimiter(4, share_weight=1), list[str]()
    async with limiter.acquire(1, ANN), limiter.acquire(1, ANNS_OTHER):
        third = asyncio.create_task(_hold(limiter, 1, order, "ann", ANN))
        await asyncio.sleep(0.01)
        async with limiter.acquire(1, BOB):
            second = asyncio.create_task(_hold(limiter, 1, order, "bob", BOB))
            await asyncio.sleep(0.01)
            await _hold(limiter, 1, order, "newcomer", Client("eve", "e"))
            assert order == ["newcomer"], "one part is kept for a client that holds none"
    await asyncio.gather(third, second)
    assert sorted(order) == ["ann", "bob", "newcomer"]
    assert (limiter._free, limiter._held.total()) == (4, 0)


async def test_a_cancelled_waiter_of_a_share_holds_nothing() -> None:
    limiter = FairLimiter(2, share_weight=1)
    async with limiter.acquire(1, ANN):
        gone = asyncio.create_task(_hold(limiter, 1, [], "gone", ANN))
        await asyncio.sleep(0.01)
        gone.cancel()
    async with limiter.acquire(1, ANN):
        assert (limiter._free, limiter._held.total()) == (1, 1)


async def test_many_clients_leave_a_bounded_table() -> None:
    limiter, order = FairLimiter(1), list[str]()
    for number in range(12_000):
        async with limiter.acquire(1, Client(f"sender-{number}", "")):
            pass
    assert len(limiter._turns) < 12_000
    await _hold(limiter, 1, order)
    assert order == ["1"]
