"""Signing keys while they rotate, while the provider is down, and under a flood of unknown key ids."""

from typing import Any

import anyio
import pytest

from services.common.identity.oidc.signing_keys import REFRESH_S, SigningKeys
from services.common.identity.problems import ProviderUnavailable
from tests.common.identity.oidc.issuer import EC, RSA, Issuer, public

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_keys_are_fetched_once_for_all_requests() -> None:
    issuer = Issuer()
    keys = SigningKeys(issuer, 3600)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(keys.find, "one", "RSA")
    assert issuer.asked == keys.fetched == 1
    assert await keys.find("one", "RSA") is await keys.find("one", "RSA")


async def test_a_new_key_is_found_at_once_and_an_old_one_until_it_is_dropped() -> None:
    issuer = Issuer(public(RSA))
    keys = SigningKeys(issuer, 3600, 0)
    old = await keys.find("one", "RSA")
    issuer.documents = [public(RSA), public(EC)]
    assert await keys.find("two", "EC")
    assert old is not None
    assert await keys.find("one", "RSA") is old
    issuer.documents = [public(EC)]
    await keys.refresh()
    assert not keys.is_current(old)
    assert await keys.find("one", "RSA") is None


async def test_a_new_key_id_does_not_rely_on_an_attempt_that_began_before_it() -> None:
    asked, answered = anyio.Event(), anyio.Event()

    class Slow(Issuer):
        async def fetch_keys(self) -> list[dict[str, Any]]:
            documents = await super().fetch_keys()
            if self.asked == 2:
                asked.set()
                await answered.wait()
            return documents

    issuer = Slow(public(RSA))
    keys = SigningKeys(issuer, 3600, 0)
    await keys.refresh()
    async with anyio.create_task_group() as group:
        group.start_soon(keys.refresh)
        await asked.wait()
        issuer.documents = [public(RSA), public(EC)]
        group.start_soon(keys.find, "two", "EC")
        await anyio.wait_all_tasks_blocked()
        answered.set()
    assert issuer.asked == 3
    assert await keys.find("two", "EC")
    assert issuer.asked == 3


async def test_a_flood_of_unknown_key_ids_makes_one_attempt_in_an_interval() -> None:
    issuer = Issuer()
    keys = SigningKeys(issuer, 3600, interval_s=3600)
    await keys.find("one", "RSA")
    unavailable = 0
    async with anyio.create_task_group() as group:

        async def guess(number: int) -> None:
            nonlocal unavailable
            try:
                await keys.find(f"guess {number}", "RSA")
            except ProviderUnavailable:
                unavailable += 1

        for number in range(500):
            group.start_soon(guess, number)
        await anyio.wait_all_tasks_blocked()
        assert issuer.asked == 1
        assert unavailable == 400, "a bounded number of requests waits"
        assert await keys.find("one", "RSA"), "known keys do not wait"
        group.cancel_scope.cancel()


async def test_an_unknown_key_id_is_remembered_for_a_while() -> None:
    issuer, clock = Issuer(), Clock()
    keys = SigningKeys(issuer, 3600, 0, clock)
    for _ in range(5):
        assert await keys.find("nobody", "RSA") is None
    asked = issuer.asked
    assert asked == 2, "the first fetch, and one for the key id"
    clock.now += 31
    assert await keys.find("nobody", "RSA") is None
    assert issuer.asked == asked + 1


async def test_keys_serve_for_a_bounded_time_while_the_provider_is_down(caplog: pytest.LogCaptureFixture) -> None:
    issuer, clock = Issuer(), Clock()
    keys = SigningKeys(issuer, 1000, 0, clock)
    await keys.find("one", "RSA")
    issuer.down = True
    clock.now += 900
    for _ in range(3):
        await keys.refresh()
    assert caplog.text.count("verified with the keys before") == 1
    assert await keys.find("one", "RSA")
    assert (keys.failed, keys.age_s, keys.usable) == (3, 900, True)
    clock.now += 200
    assert not keys.usable
    with pytest.raises(ProviderUnavailable):
        await keys.find("one", "RSA")
    assert caplog.text.count("tokens are refused") == 1
    issuer.down = False
    assert await keys.find("one", "RSA")


async def test_after_a_failure_requests_are_refused_without_another_attempt() -> None:
    issuer, clock = Issuer(), Clock()
    issuer.down = True
    keys = SigningKeys(issuer, 1000, 10, clock)
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            await keys.find("one", "RSA")
    assert issuer.asked == 1


async def test_keys_are_refreshed_in_the_background() -> None:
    issuer = Issuer()
    keys = SigningKeys(issuer, REFRESH_S * 2)
    async with keys.running():
        await anyio.wait_all_tasks_blocked()
        assert keys.usable
    assert issuer.asked == 1
