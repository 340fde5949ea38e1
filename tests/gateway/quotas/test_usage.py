"""Counters of quotas in a real Redis, as two gateways use them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from services.gateway.quotas.limits import SenderLimits
from services.gateway.quotas.usage import Exceeded, Usage, Used, new_reservation
from tests.redis_process import redis_url, running_redis

DAY_S = 24 * 3600
SENDER = "ann"
NOTHING = Used()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
def usage(server: Redis) -> Usage:
    server.flushall()
    return Usage(server)


def _counted(usage: Usage, used: Used = NOTHING) -> None:
    usage.end_count(SENDER, usage.begin_count(SENDER), used)


def _reserve(usage: Usage, size: int = 1, *, limits: SenderLimits) -> Exceeded | bool:
    return usage.reserve(new_reservation(SENDER), size, limits, DAY_S)


def test_an_emptied_redis_asks_for_a_count(usage: Usage, server: Redis) -> None:
    limits = SenderLimits(jobs=3)
    assert _reserve(usage, limits=limits) is False
    _counted(usage, Used(jobs=2))
    assert _reserve(usage, limits=limits) is True
    assert _reserve(usage, limits=limits) == Exceeded("jobs", 3)
    server.flushall()
    assert _reserve(usage, limits=limits) is False


def test_an_old_count_is_not_taken(usage: Usage) -> None:
    _counted(usage)
    assert usage.reserve(new_reservation(SENDER), 1, SenderLimits(jobs=3), max_age_s=0) is False


@pytest.mark.parametrize(
    ("limits", "exceeded"),
    [
        (SenderLimits(jobs=5), Exceeded("jobs", 5)),
        (SenderLimits(bytes=1000), Exceeded("bytes", 950)),
        (SenderLimits(series=30), Exceeded("series", 30)),
    ],
)
def test_each_quota_has_a_limit(usage: Usage, limits: SenderLimits, exceeded: Exceeded) -> None:
    _counted(usage, Used(jobs=5, bytes=950, series=30))
    assert _reserve(usage, 51, limits=limits) == exceeded


def test_a_body_of_unknown_size_needs_some_room(usage: Usage) -> None:
    _counted(usage, Used(bytes=1000))
    assert _reserve(usage, 0, limits=SenderLimits(bytes=1000)) == Exceeded("bytes", 1000)
    assert _reserve(usage, 0, limits=SenderLimits(bytes=1001)) is True


def test_a_reservation_changes_its_size_and_is_given_back(usage: Usage) -> None:
    limits, reservation = SenderLimits(bytes=1000, jobs=1), new_reservation(SENDER)
    _counted(usage)
    assert usage.reserve(reservation, 100, limits, DAY_S) is True
    assert usage.reserve(reservation, 1001, limits, DAY_S) == Exceeded("bytes", 0)
    assert usage.reserve(reservation, 1000, limits, DAY_S) is True
    assert _reserve(usage, limits=limits) == Exceeded("jobs", 1)
    usage.release(reservation)
    assert _reserve(usage, limits=limits) is True


def test_a_stored_job_counts_until_a_later_count_holds_it(usage: Usage) -> None:
    limits, reservation = SenderLimits(jobs=1), new_reservation(SENDER)
    _counted(usage)
    usage.reserve(reservation, 1, limits, DAY_S)
    earlier = usage.begin_count(SENDER)
    usage.mark_stored(reservation)
    usage.end_count(SENDER, earlier, Used())  # it may have listed the storage before the job was there
    assert _reserve(usage, limits=limits) == Exceeded("jobs", 1)
    _counted(usage, Used())  # the job has ended
    assert _reserve(usage, limits=limits) is True


def test_of_two_counts_at_the_same_time_the_later_one_holds(usage: Usage) -> None:
    slow, quick = usage.begin_count(SENDER), usage.begin_count(SENDER)
    usage.end_count(SENDER, quick, Used(jobs=1))
    usage.end_count(SENDER, slow, Used(jobs=0))
    assert _reserve(usage, limits=SenderLimits(jobs=1)) == Exceeded("jobs", 1)


@pytest.mark.parametrize("moved_s", [-DAY_S, DAY_S])
def test_a_moved_clock_asks_for_a_count_and_frees_what_a_crash_left(usage: Usage, server: Redis, moved_s: int) -> None:
    limits, lost, stored = SenderLimits(jobs=2), new_reservation(SENDER), new_reservation(SENDER)
    _counted(usage)
    usage.reserve(lost, 1, limits, DAY_S)
    usage.reserve(stored, 1, limits, DAY_S)
    usage.mark_stored(stored)
    _move_clock(server, moved_s)
    assert _reserve(usage, limits=limits) is False
    _counted(usage, Used(jobs=1))
    assert _reserve(usage, limits=limits) is True
    assert _reserve(usage, limits=limits) == Exceeded("jobs", 2)


def _move_clock(server: Redis, seconds: int) -> None:
    """Write all times as a clock would have that stood so much behind or before; jumps of Redis' clock are the same."""
    at = int(server.hget(f"ich:quota:{SENDER}", "at") or 0)
    server.hset(f"ich:quota:{SENDER}", "at", str(at - seconds * 10**6))
    for token, value in server.hgetall(f"ich:quota:{SENDER}:new").items():
        size, ends, count = value.decode().split("|") if isinstance(value, bytes) else value.split("|")
        server.hset(f"ich:quota:{SENDER}:new", token, f"{size}|{int(ends) - seconds * 10**6}|{count}")


def test_gateways_together_never_exceed_a_limit(usage: Usage, server: Redis) -> None:
    others = [Usage(Redis.from_url(redis_url(server))) for _ in range(2)]
    _counted(usage, Used(jobs=3))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda index: _reserve(others[index % 2], limits=SenderLimits(jobs=20)), range(100)))
    assert found.count(True) == 17
    assert set(found) == {True, Exceeded("jobs", 20)}
