"""Attempt counters of a task in Redis. They reset when Redis is emptied.

ich:tries:<task>    hash with `begun`, `faults` and `since`, removed when the task ends
"""

import time
from typing import Final

from redis import Redis

_TTL_S: Final = 7 * 24 * 3600


class Attempts:
    """The counters of one task."""

    def __init__(self, redis: Redis, task_id: str) -> None:
        self._redis = redis
        self._key = f"ich:tries:{task_id}"

    def begin(self) -> int:
        """Count an attempt, and return the number of earlier ones whose workers died."""
        begun = self._redis.hincrby(self._key, "begun", 1)
        self._redis.expire(self._key, _TTL_S)
        return int(begun) - 1

    def survived(self) -> None:
        """Take back the latest attempt: its worker lives, and the task is deferred."""
        self._redis.hincrby(self._key, "begun", -1)

    def add_fault(self, *, counts: bool) -> int:
        """Record a fault of a stage, and return the number of faults that count."""
        self._redis.hsetnx(self._key, "since", str(time.time()))
        return int(self._redis.hincrby(self._key, "faults", int(counts)))

    def waited_s(self) -> float:
        """Seconds since the first fault; 0 without one."""
        since = self._redis.hget(self._key, "since")
        return time.time() - float(since) if since else 0.0

    def clear(self) -> None:
        """Forget the task, which has ended."""
        self._redis.delete(self._key)
