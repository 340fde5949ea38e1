"""How often a task was begun and not ended, and which faults it met. In Redis; lost with it, patience begins anew."""

import time
from typing import Final

from redis import Redis

_KEPT_S: Final = 7 * 24 * 3600


class Attempts:
    """Those of one task."""

    def __init__(self, redis: Redis, task_id: str) -> None:
        self._redis = redis
        self._key = f"ich:tries:{task_id}"

    def begin(self) -> int:
        """How many began and did not end: their workers did not survive. This one is counted until `back`."""
        begun = self._redis.hincrby(self._key, "begun", 1)
        self._redis.expire(self._key, _KEPT_S)
        return int(begun) - 1

    def back(self) -> None:
        """The worker is still there."""
        self._redis.hincrby(self._key, "begun", -1)

    def fault(self, *, counts: bool) -> int:
        """It met one more; how many count by now."""
        self._redis.hsetnx(self._key, "since", str(time.time()))
        return int(self._redis.hincrby(self._key, "faults", int(counts)))

    def waited_s(self) -> float:
        """Time since the first fault."""
        since = self._redis.hget(self._key, "since")
        return time.time() - float(since) if since else 0.0

    def clear(self) -> None:
        """It has ended."""
        self._redis.delete(self._key)
