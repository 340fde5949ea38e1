"""Gateways that share a storage, with clocks that the tests move."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.gateway.jobs.lease import LeaseCheck, LeaseLost
from services.gateway.jobs.membership import BEAT_S, PATIENCE_S, Membership
from services.gateway.jobs.storage import LocalStorage, Storage
from tests.gateway.jobs.conditions import wait_until


@dataclass
class Clock:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


class LostStorage(LocalStorage):
    """A storage that a gateway cannot reach for a while."""

    lost = False

    def names(self, key: str) -> list[str]:
        if self.lost:
            raise OSError(5, "no storage")
        return super().names(key)


class SlowStorage(LocalStorage):
    """A storage to which a gateway's write of the lease is slow: other gateways act before it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda _: None)
        self.meanwhile: Callable[[], None] = lambda: None

    def create(self, key: str, content: bytes) -> bool:
        if "sweeper" in key:
            self.meanwhile()
        return super().create(key, content)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return LocalStorage(tmp_path / "store", lambda _: None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def member(storage: Storage, clock: Clock) -> Membership:
    found = Membership(storage, clock=clock)
    found.join()
    found.beat()
    return found


def beats(clock: Clock, seconds: float, *members: Membership) -> None:
    """Let time pass, with the beats of these members."""
    for _ in range(round(seconds / BEAT_S)):
        clock.seconds += BEAT_S
        for one in members:
            one.beat()


def test_the_first_gateway_holds_the_lease_while_it_lives(storage: Storage, clock: Clock) -> None:
    first, second = member(storage, clock), member(storage, clock)
    beats(clock, 120, second, first)
    assert (first.term(), second.term()) == (1, None)
    assert first.living() == {first.id, second.id}
    assert len(storage.names("gateways")) == 5, "two records, two signs of life, one lease"


def test_a_dead_holder_is_followed_within_30_s(storage: Storage, clock: Clock) -> None:
    first, second, third = (member(storage, clock) for _ in range(3))
    beats(clock, 10, first, second, third)
    beats(clock, 30, second, third)
    assert first.term() is None
    assert sorted([second.term() or 0, third.term() or 0]) == [0, 2], "one follows"
    assert second.living() == {second.id, third.id}
    assert not [name for name in storage.names("gateways") if name.startswith(first.id)]


def test_the_lease_ends_before_another_gateway_may_take_it(storage: Storage, clock: Clock) -> None:
    first, second = member(storage, clock), member(storage, clock)
    check = LeaseCheck(first)
    for _ in range(round(PATIENCE_S / BEAT_S)):
        clock.seconds += BEAT_S
        second.beat()
        assert not (first.term() and second.term())
    assert (first.term(), second.term()) == (None, 2)
    with pytest.raises(LeaseLost):
        check.check()


def test_a_gateway_that_counted_as_dead_joins_again_without_the_lease(storage: Storage, clock: Clock) -> None:
    first, second = member(storage, clock), member(storage, clock)
    old = first.id
    beats(clock, 30, second)
    first.beat()
    assert first.id != old
    assert (first.term(), second.term()) == (None, 2)
    assert second.living() == {first.id, second.id}


def test_a_gateway_that_leaves_is_followed_at_the_next_look(storage: Storage, clock: Clock) -> None:
    first, second = member(storage, clock), member(storage, clock)
    first.leave()
    second.beat()
    assert (first.term(), second.term()) == (None, 2)
    assert second.living() == {second.id}


def test_a_slow_gateway_takes_no_generation_that_others_have_left_behind(tmp_path: Path, clock: Clock) -> None:
    """A rolling restart: the lease passes on twice while the write of a third gateway is on its way."""
    storage, slowed = LocalStorage(tmp_path / "store", lambda _: None), SlowStorage(tmp_path / "store")
    first, second, third = (member(storage, clock) for _ in range(3))
    slow = member(slowed, clock)

    def pass_on() -> None:
        second.beat()
        second.leave()
        third.beat()

    first.leave()
    slowed.meanwhile = pass_on
    slow.beat()
    assert (slow.term(), third.term()) == (None, 3)
    beats(clock, 10, slow, third)
    assert (slow.term(), third.term()) == (None, 3)
    assert [name for name in storage.names("gateways") if name.startswith("sweeper")] == ["sweeper.00000003"]


def test_nobody_counts_as_dead_after_an_outage_that_all_shared(tmp_path: Path, clock: Clock) -> None:
    storage = LostStorage(tmp_path / "store", lambda _: None)
    first, second = member(storage, clock), member(storage, clock)
    beats(clock, 10, first, second)
    storage.lost = True
    with pytest.raises(OSError, match="no storage"):
        first.beat()
    clock.seconds += 300
    assert first.term() is None
    storage.lost = False
    second.beat()  # long before the first one
    assert second.living() == {first.id, second.id}
    beats(clock, 15, second)
    first.beat()
    assert (first.term(), second.term()) == (1, None)


def test_one_of_many_that_start_at_once_holds_the_lease(storage: Storage, clock: Clock) -> None:
    members = [Membership(storage, clock=clock) for _ in range(5)]
    for one in members:
        one.join()
    beats(clock, 10, *members)
    assert sum(one.term() is not None for one in members) == 1


def test_a_term_of_another_time_is_another_number(storage: Storage, clock: Clock) -> None:
    first = member(storage, clock)
    items = LeaseCheck(first).each(range(10))
    assert next(items) == 0
    first.leave()
    first.join()
    first.beat()
    with pytest.raises(LeaseLost):
        next(items)
    assert first.term() == 2


def test_it_beats_in_the_background_and_says_when_the_storage_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = LostStorage(tmp_path / "store", lambda _: None)
    membership = Membership(storage)
    with membership.running(0.01):
        assert membership.term() == 1
        storage.lost = True
        wait_until(lambda: "this gateway sweeps no more" in caplog.text)
        wait_until(lambda: membership.term() is None)
        storage.lost = False
        own = membership.id
        storage.remove(f"gateways/{own}")
        wait_until(lambda: membership.id != own)
    assert caplog.text.count("sweeps no more") == 1
    assert storage.names("gateways") == [name for name in storage.names("gateways") if name.startswith("sweeper.")]


def test_a_gateway_that_cannot_leave_ends_anyway(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(LostStorage):
        def remove(self, key: str) -> None:
            if self.lost:
                raise OSError(5, "no storage")
            super().remove(key)

    storage = Broken(tmp_path / "store", lambda _: None)
    with Membership(storage).running():
        storage.lost = True
    assert "could not leave the storage in order" in caplog.text
