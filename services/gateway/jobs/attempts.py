"""Attempt counters of a task in Redis. They reset when Redis is emptied.

ich:tries:<task>    hash with `begun`, `faults`, `waited`, `seen` (0.2: `since`), removed when the task ends
"""

from collections.abc import Callable
from typing import Final

from redis import Redis

from services.common.elapsed import Reading, elapsed_s

_TTL_S: Final = 7 * 24 * 3600
_MAX_STEP_S: Final = 3600.0  # the most that the wall clock may add to a wait between two looks


class Attempts:
    """The counters of one task.

    Parameters
    ----------
    read
        reads the system's clocks
    """

    def __init__(self, redis: Redis, task_id: str, read: Callable[[], Reading] = Reading.now) -> None:
        self._redis = redis
        self._read = read
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
        self._redis.hsetnx(self._key, "seen", self._read().json())
        return int(self._redis.hincrby(self._key, "faults", int(counts)))

    def waited_s(self) -> float:
        """Seconds since the first fault; 0 without one. A jump of the wall clock adds an hour at most."""
        waited, seen, since = self._redis.hmget(self._key, ("waited", "seen", "since"))
        now = self._read()
        then = Reading.parse(seen) if seen else Reading("", 0.0, float(since)) if since else None
        if then is None:
            return 0.0
        total_s = float(waited or 0.0) + elapsed_s(then, now, _MAX_STEP_S)
        self._redis.hset(self._key, mapping={"waited": total_s, "seen": now.json()})
        return total_s

    def clear(self) -> None:
        """Forget the task, which has ended."""
        self._redis.delete(self._key)
