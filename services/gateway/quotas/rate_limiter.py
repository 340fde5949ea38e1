"""Rate limits by the generic cell rate algorithm (ITU-T I.371), with one state for all gateways in Redis.

ich:rate:<share>    theoretical arrival time of the next request, in microseconds of Redis' clock, with a time to live

A script of Redis reads its clock and changes the state in one step. A clock that jumps back makes the state of a sender
that of one who has used a whole minute, at most.
"""

import logging
import time
from asyncio import Semaphore
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)
WINDOW_S: Final = 60
_KEY: Final = "ich:rate"
_PAUSE_S: Final = 5.0  # without Redis
_MAX_REFUSED: Final = 10_000
_MAX_CALLS: Final = 64  # at the same time; each has a connection
_SCRIPT: Final = """
local window, period = tonumber(ARGV[1]), tonumber(ARGV[1]) / tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local arrival = math.max(now, math.min(tonumber(redis.call('GET', KEYS[1]) or '0') or 0, now + window))
local wait = arrival + period - window - now
if wait > 0 then return {0, string.format('%.0f', wait), string.format('%.0f', arrival - now)} end
arrival = arrival + period
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
local left = math.floor((window - (arrival - now)) / period + 1e-6)
return {1, left, string.format('%.0f', arrival - now)}
"""


@dataclass(frozen=True, slots=True)
class RateState:
    """The state of a sender after a request.

    limit : requests in a minute
    remaining : requests that may come at once
    reset_s : seconds until that number is `limit` again
    wait_s : seconds until the next request is accepted; None where this one was
    """

    limit: int
    remaining: int
    reset_s: int
    wait_s: int | None = None

    def headers(self) -> dict[str, str]:
        """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)."""
        return {
            "ratelimit-policy": f'"requests";q={self.limit};w={WINDOW_S}',
            "ratelimit": f'"requests";r={self.remaining};t={self.reset_s}',
        }


@dataclass(frozen=True, slots=True)
class _Refused:
    """When a refused share may send again, and when its minute is whole again, in seconds of the process's clock."""

    until: float
    reset: float

    def state(self, limit: int, now: float) -> RateState:
        return RateState(limit, 0, ceil(self.reset - now), max(ceil(self.until - now), 1))


class RateLimiter:
    """Counts requests. A share that was refused is refused again without Redis until its wait has ended.

    Parameters
    ----------
    clock
        seconds
    """

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self.unchecked = 0
        self._script = redis.register_script(_SCRIPT)
        self._clock = clock
        self._paused_until = 0.0
        self._refused: OrderedDict[str, _Refused] = OrderedDict()
        self._redis, self._calls = redis, Semaphore(_MAX_CALLS)

    async def count(self, share: str, limit: int) -> RateState | None:
        """Count a request of a share; None where Redis does not answer, and the request is not counted.

        Parameters
        ----------
        share : a sender, or an address
        limit : requests in a minute
        """
        now = self._clock()
        if (refused := self._refused.get(share)) and refused.until > now:
            return refused.state(limit, now)
        if now < self._paused_until:
            self.unchecked += 1
            return None
        try:
            async with self._calls:
                accepted, rest, reset_us = await self._script(keys=[_key(share)], args=[WINDOW_S * 1_000_000, limit])
        except RedisError:
            log.warning("Redis does not answer; requests are not limited until it does")
            self._paused_until = self._clock() + _PAUSE_S
            self.unchecked += 1
            return None
        reset_s = int(reset_us) / 1e6
        if accepted:
            return RateState(limit, int(rest), ceil(reset_s))
        refused = _Refused(now + int(rest) / 1e6, now + reset_s)
        self._remember(share, refused)
        return refused.state(limit, now)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _remember(self, share: str, refused: _Refused) -> None:
        self._refused.pop(share, None)
        self._refused[share] = refused
        if len(self._refused) > _MAX_REFUSED:
            self._refused.popitem(last=False)


def _key(share: str) -> str:
    """The share's key; an address is a person's datum, so Redis gets hashes."""
    return f"{_KEY}:{sha256(share.encode()).hexdigest()[:24]}"
