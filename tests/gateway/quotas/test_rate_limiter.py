"""Rate limits in a real Redis, as two gateways use it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from services.gateway.quotas.rate_limiter import RateLimiter, RateState
from tests.redis_process import redis_url, running_redis

pytestmark = pytest.mark.anyio
MINUTE_US = 60 * 10**6


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
async def redis(server: Redis) -> AsyncIterator[AsyncRedis]:
    server.flushall()
    async with AsyncRedis.from_url(redis_url(server)) as client:
        yield client


class Clock:
    """A clock that tests move."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_gateways_share_a_senders_minute(redis: AsyncRedis) -> None:
    gateways = [RateLimiter(redis), RateLimiter(redis)]
    found = [await gateways[index % 2].count("ann", 3) for index in range(3)]
    assert [state.remaining for state in found if state] == [2, 1, 0]
    assert [state.wait_s for state in found if state] == [None] * 3
    for gateway in gateways:
        refused = await gateway.count("ann", 3)
        assert refused is not None
        assert refused.remaining == 0
        assert 0 < (refused.wait_s or 0) <= 20  # one request each 20 s
    other = await gateways[0].count("bob", 3)
    assert other is not None
    assert other.wait_s is None


async def test_a_refused_sender_costs_no_call_of_redis_until_its_wait_has_ended(
    redis: AsyncRedis, server: Redis
) -> None:
    clock = Clock()
    limiter = RateLimiter(redis, clock)
    await limiter.count("ann", 1)
    await limiter.count("ann", 1)
    before = server.info("commandstats")["cmdstat_evalsha"]["calls"]
    for _ in range(100):
        state = await limiter.count("ann", 1)
        assert state is not None
        assert 0 < (state.wait_s or 0) <= state.reset_s <= 60
    assert server.info("commandstats")["cmdstat_evalsha"]["calls"] == before
    clock.now += 61
    server.flushall()  # as if the minute had ended for Redis too
    assert (await limiter.count("ann", 1)) == RateState(1, 0, 60)


async def test_a_clock_that_jumps_back_blocks_for_a_minute_at_most(redis: AsyncRedis, server: Redis) -> None:
    await RateLimiter(redis).count("ann", 6)
    (key,) = server.keys("ich:rate:*")
    server.set(key, int(server.get(key) or 0) + 24 * 3600 * 10**6)
    state = await RateLimiter(redis).count("ann", 6)
    assert state is not None
    assert 0 < (state.wait_s or 0) <= 10
    server.set(key, int(server.get(key) or 0) - 48 * 3600 * 10**6)  # and far ahead
    state = await RateLimiter(redis).count("ann", 6)
    assert state is not None
    assert state.remaining == 5


async def test_no_address_or_sender_is_in_redis(redis: AsyncRedis, server: Redis) -> None:
    await RateLimiter(redis).count("192.0.2.7", 6)
    assert "192.0.2.7" not in str(server.keys())
    assert 0 < server.pttl(server.keys()[0]) <= 60_001


async def test_requests_pass_uncounted_without_redis() -> None:
    clock = Clock()
    async with AsyncRedis.from_url("unix:///nowhere/redis.sock") as redis:
        limiter = RateLimiter(redis, clock)
        assert [await limiter.count("ann", 1) for _ in range(3)] == [None] * 3
        assert limiter.unchecked == 3


async def test_the_headers_are_those_of_the_draft() -> None:
    assert RateState(600, 599, 1).headers() == {
        "ratelimit-policy": '"requests";q=600;w=60',
        "ratelimit": '"requests";r=599;t=1',
    }
