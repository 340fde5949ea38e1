"""Lanes, and their state in Redis.

ich:lane:<priority>:<sender>:<number>    `waiting:<ticket>`, or `running:<ticket>` with a time to live
ich:work:<task>                          the priority of the lane that processes the task, with a time to live
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from services.gateway.jobs.schemas import Priority

LEASE_S: Final = 20
_RENEW_INTERVAL_S: Final = 4.0
_WAITING: Final = "waiting:"
_RUNNING: Final = "running:"
_KEY: Final = "ich:lane"
_WORK: Final = "ich:work"


@dataclass(frozen=True, slots=True)
class Lane:
    """One of a sender's lanes in a priority."""

    priority: Priority
    sender: str
    number: int

    @property
    def key(self) -> str:
        """Its key in Redis."""
        return f"{_KEY}:{self.priority}:{self.sender}:{self.number}"


class LaneStates:
    """Which ticket each lane has. A lane without a key has none."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def has_ticket(self, lane: Lane) -> bool:
        """Whether the lane has a ticket, in the queue or running."""
        return self._get(lane) is not None

    def waiting_ticket(self, lane: Lane) -> str | None:
        """The lane's ticket, unless it is running."""
        state = self._get(lane) or ""
        return state.removeprefix(_WAITING) if state.startswith(_WAITING) else None

    def claim(self, lane: Lane, ticket: str) -> bool:
        """Give a ticket to a lane that has none; False where the lane has one."""
        return bool(self._redis.set(lane.key, _WAITING + ticket, nx=True))

    def replace(self, lane: Lane, ticket: str) -> None:
        """Give a ticket to a lane, in place of its earlier one."""
        self._redis.set(lane.key, _WAITING + ticket)

    def release(self, lane: Lane) -> None:
        """Take the lane's ticket away."""
        self._redis.delete(lane.key)

    def bound_lease(self, lane: Lane) -> None:
        """Shorten a lease that a jump of Redis' clock has lengthened; a living worker renews it."""
        if int(self._redis.ttl(lane.key)) > LEASE_S:
            self._redis.expire(lane.key, LEASE_S)

    @contextmanager
    def leased(self, lane: Lane, ticket: str) -> Iterator[bool]:
        """Mark the ticket as running while this process lives; False for a stale ticket."""
        if self.waiting_ticket(lane) != ticket:
            yield False
            return
        with self._renewed(lane.key, _RUNNING + ticket):
            yield True

    @contextmanager
    def working(self, lane: Lane, task_id: str) -> Iterator[None]:
        """Say that a lane processes a task, so that lanes of the other priority leave it out."""
        key = f"{_WORK}:{task_id}"
        try:
            with self._renewed(key, lane.priority):
                yield
        finally:
            with suppress(RedisError):
                self._redis.delete(key)

    def is_worked_elsewhere(self, lane: Lane, task_id: str) -> bool:
        """Whether a lane of the other priority processes a task: the job's priority was changed meanwhile."""
        found = self._redis.get(f"{_WORK}:{task_id}")
        return isinstance(found, bytes) and found != lane.priority.encode()

    @contextmanager
    def _renewed(self, key: str, value: str) -> Iterator[None]:
        """Hold a key while this process lives."""
        ended = threading.Event()
        self._redis.set(key, value, ex=LEASE_S)

        def renew() -> None:
            while not ended.wait(_RENEW_INTERVAL_S):
                with suppress(RedisError):
                    self._redis.set(key, value, ex=LEASE_S)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _get(self, lane: Lane) -> str | None:
        state = self._redis.get(lane.key)
        return state.decode(errors="replace") if isinstance(state, bytes) else None
