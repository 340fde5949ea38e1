"""What each sender uses: counted in the storage, with the jobs that came since then in Redis, for all gateways.

ich:quota:<sender>        what the storage held at the latest count: jobs, bytes, series; when; and the count's number
ich:quota:<sender>:new    jobs since then, by token: `bytes|end`, and the number of the count that was running when the
                          job was stored, or 0 before that

A job is reserved in one step of a script, before its body is read, so gateways together never exceed a limit. What the
storage holds is never incremented but counted: a crash leaves a reservation, which ends by itself. Redis may be
emptied: the next job counts again.
"""

import secrets
import time
from dataclasses import dataclass
from typing import Any, Final, cast

from redis import Redis

from services.gateway.quotas.limits import QUOTAS, Quota, SenderLimits

_KEY: Final = "ich:quota"
_RESERVED_S: Final = 3600  # that a crash blocks a part of a quota, at most
_KEPT_S: Final = 24 * 3600
_LISTED: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function listed()
  local found, entries = {}, redis.call('HGETALL', KEYS[2])
  for i = 1, #entries, 2 do
    local bytes, ends, count = string.match(entries[i + 1], '^(%d+)|(%d+)|(%d+)$')
    found[entries[i]] = {tonumber(bytes), tonumber(ends), tonumber(count)}
  end
  return found
end
local function write(token, entry)
  redis.call('HSET', KEYS[2], token, string.format('%.0f|%.0f|%.0f', entry[1], entry[2], entry[3]))
  redis.call('EXPIRE', KEYS[2], ARGV[1])
end
"""
# ARGV: kept_s, token, bytes, reserved_us, most age of the count in us, limits of jobs, bytes and series (0: none)
_RESERVE: Final = (
    _LISTED
    + """
local base = redis.call('HMGET', KEYS[1], 'jobs', 'bytes', 'series', 'at')
local age = base[4] and now - tonumber(base[4]) or -1
if age < 0 or age > tonumber(ARGV[5]) then return {'count'} end
local used = {tonumber(base[1]), tonumber(base[2]), tonumber(base[3])}
for token, entry in pairs(listed()) do
  if token ~= ARGV[2] and (entry[3] > 0 or entry[2] > now) then
    used = {used[1] + 1, used[2] + entry[1], used[3] + 1}
  end
end
local more = {1, math.max(tonumber(ARGV[3]), 1), 1}
for i, quota in ipairs({'jobs', 'bytes', 'series'}) do
  local limit = tonumber(ARGV[5 + i])
  if limit > 0 and used[i] + more[i] > limit then return {quota, string.format('%.0f', used[i])} end
end
write(ARGV[2], {tonumber(ARGV[3]), now + tonumber(ARGV[4]), 0})
return {'reserved'}
"""
)
# ARGV: kept_s, token. The job is in the storage: counts that begin from now on find it there.
_STORED: Final = (
    _LISTED
    + """
local entry = listed()[ARGV[2]]
if entry then write(ARGV[2], {entry[1], entry[2], tonumber(redis.call('HINCRBY', KEYS[1], 'begun', 0)) + 1}) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
"""
)
# ARGV: kept_s, number of the count, jobs, bytes, series, reserved_us
_COUNTED: Final = (
    _LISTED
    + """
local number = tonumber(ARGV[2])
if number <= tonumber(redis.call('HGET', KEYS[1], 'counted') or '0') then return end
redis.call('HSET', KEYS[1], 'jobs', ARGV[3], 'bytes', ARGV[4], 'series', ARGV[5])
redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now), 'counted', number)
redis.call('EXPIRE', KEYS[1], ARGV[1])
for token, entry in pairs(listed()) do
  local stale = entry[3] == 0 and (entry[2] < now or entry[2] > now + tonumber(ARGV[6]))
  if stale or (entry[3] > 0 and entry[3] <= number) then redis.call('HDEL', KEYS[2], token) end
end
"""
)


@dataclass(frozen=True, slots=True)
class Used:
    """What a sender's jobs use in the storage."""

    jobs: int = 0
    bytes: int = 0
    series: int = 0


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The quota that has no room, and how much of it is used."""

    quota: Quota
    used: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """A part of a sender's quotas."""

    sender: str
    token: str


class Usage:
    """The counters of all senders. Every method raises RedisError where Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._reserve = redis.register_script(_RESERVE)
        self._stored = redis.register_script(_STORED)
        self._counted = redis.register_script(_COUNTED)

    def begin_count(self, sender: str) -> int:
        """The number of a count that begins now."""
        return self._redis.hincrby(_keys(sender)[0], "begun", 1)

    def end_count(self, sender: str, number: int, used: Used) -> None:
        """Replace an earlier count, and the jobs that it did not hold."""
        args = [_KEPT_S, number, used.jobs, used.bytes, used.series, _us(_RESERVED_S)]
        self._counted(keys=_keys(sender), args=args)

    def reserve(self, reservation: Reservation, size: int, limits: SenderLimits, max_age_s: float) -> Exceeded | bool:
        """Reserve room for a job, or change its size: whether that was done, or the quota that has no room.

        It was not done where the latest count is missing or older than `max_age_s`.
        """
        most = [getattr(limits, quota) or 0 for quota in QUOTAS]
        args = [_KEPT_S, reservation.token, size, _us(_RESERVED_S), _us(max_age_s), *most]
        state, *used = cast("list[bytes]", self._reserve(keys=_keys(reservation.sender), args=args))
        if used:
            return Exceeded(next(quota for quota in QUOTAS if quota == state.decode()), int(used[0]))
        return state == b"reserved"

    def mark_stored(self, reservation: Reservation) -> None:
        """Hold the reservation until a count holds the job."""
        self._stored(keys=_keys(reservation.sender), args=[_KEPT_S, reservation.token])

    def release(self, reservation: Reservation) -> None:
        """Give back what was reserved."""
        self._redis.hdel(_keys(reservation.sender)[1], reservation.token)


def new_reservation(sender: str) -> Reservation:
    """A reservation with a token of its own."""
    return Reservation(sender, f"{time.time_ns():x}{secrets.token_hex(8)}")


def _keys(sender: str) -> list[Any]:
    return [f"{_KEY}:{sender}", f"{_KEY}:{sender}:new"]


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
