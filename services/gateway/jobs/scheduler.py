"""Whose turn it is, by Redis and RQ.

Each sender has a few lanes in each priority, and each lane has at most one turn in the queue. A turn works on one
series, the lane's next in the store, and queues the lane's next turn behind all others: so senders take turns, however
much each has sent. Where nobody else waits, a turn goes on to the lane's next series for a few seconds, since a process
and connections of its own cost as much as some slices. Which series a turn is for stands nowhere in Redis, and so
nothing of it can be lost with Redis: `reconcile` looks again and again for work that has no turn, and gives it one.

A lane's key in Redis says `waiting:<turn>`, or `running:<turn>` for a few seconds at a time; a turn that does not find
itself there is a ghost, and does nothing.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from services.common.problems import Problem
from services.gateway.jobs.job import Job
from services.gateway.jobs.schemas import PRIORITIES, Plan, Priority
from services.gateway.jobs.store import JobStore

LEASE_S: Final = 20
_RENEW_S: Final = 4.0
_MAX_TICKET_S: Final = 5.0
_FUNCTION: Final = "services.gateway.jobs.tasks.run_ticket"
_WAITING: Final = "waiting:"
_RUNNING: Final = "running:"
_KEY: Final = "ich:lane"


class QueueUnavailable(Problem):
    status = 503
    code = "queue_unavailable"
    title = "Jobs cannot be taken now"
    retry_after_s = 10


@dataclass(frozen=True, slots=True)
class Lane:
    """One of a sender's lanes."""

    priority: Priority
    sender: str
    number: int

    @property
    def key(self) -> str:
        return f"{_KEY}:{self.priority}:{self.sender}:{self.number}"


@dataclass(frozen=True, slots=True)
class Task:
    """What a turn is for: a job to plan, or its series of that number."""

    job: Job
    number: int | None = None

    @property
    def id(self) -> str:
        """The same whenever and wherever it is done."""
        return f"{self.job.id}-{'plan' if self.number is None else f'{self.number:06d}'}"


class FairScheduler:
    """Issues tickets to the lanes of all senders, in turn.

    max_ticket_s : how long a turn goes on where nobody else waits
    """

    def __init__(self, redis: Redis, store: JobStore, count: int, *, max_ticket_s: float = _MAX_TICKET_S) -> None:
        self._redis = redis
        self._store = store
        self._count = count
        self._max_ticket_s = max_ticket_s
        self._unconfirmed: dict[str, str] = {}  # keys that said `waiting` at the last look, with no turn in the queue

    def check(self) -> None:
        """QueueUnavailable where Redis can't take a turn: down, loading, or full."""
        try:
            self._redis.set("ich:check", "1", ex=60)
        except RedisError as error:
            raise QueueUnavailable("the queue is down or full; nothing was accepted") from error

    def schedule(self, priority: Priority, sender: str) -> None:
        """Give a turn to each of a sender's lanes that has work and none.

        Raises
        ------
        RedisError
            Redis can't take it; `reconcile` will try again.
        """
        for number in range(self._count):
            lane = Lane(priority, sender, number)
            if self._state(lane) is None and self.next_task(lane):
                turn = _new_ticket()
                if self._redis.set(lane.key, _WAITING + turn, nx=True):
                    self._enqueue(lane, turn)

    def reconcile(self) -> None:
        """Wake every lane that should not sleep, and mend those whose turn was lost. Call it every few seconds."""
        found: dict[str, str] = {}
        for priority in PRIORITIES:
            for sender in self._store.senders(priority):
                if self._store.open_jobs(priority, sender):
                    self.schedule(priority, sender)
                    found |= dict(self._lost_tickets(priority, sender))
        self._unconfirmed = found

    def _lost_tickets(self, priority: Priority, sender: str) -> Iterator[tuple[str, str]]:
        """Lanes that wait with no turn in the queue; those that did so at the last look get a new turn."""
        queued = set(self.queue(priority).get_job_ids())
        for number in range(self._count):
            lane = Lane(priority, sender, number)
            said = self._state(lane)
            if said and said.startswith(_WAITING) and said.removeprefix(_WAITING) not in queued:
                if self._unconfirmed.get(lane.key) == said:
                    self.issue_ticket(lane)
                else:
                    yield lane.key, said

    def issue_ticket(self, lane: Lane) -> None:
        """Queue the lane's next turn, behind all others."""
        turn = _new_ticket()
        self._redis.set(lane.key, _WAITING + turn)
        self._enqueue(lane, turn)

    def process_ticket(self, lane: Lane, turn: str, work: Callable[[Task], bool]) -> None:
        """A turn: do the lane's next task, and queue its next turn where there is more. A ghost does nothing.

        work : does a task, and says whether to go on
        """
        with self._leased(lane, turn) as mine:
            if mine:
                self._work(lane, work)
        if mine:
            self.issue_ticket(lane) if self.next_task(lane) else self._release(lane)

    def _work(self, lane: Lane, work: Callable[[Task], bool]) -> None:
        end = time.monotonic() + self._max_ticket_s
        while task := self.next_task(lane):
            well = work(task)
            if task.number is None:
                self.schedule(lane.priority, lane.sender)
            if not well or time.monotonic() >= end or self._other_work_waits(lane):
                return

    def _other_work_waits(self, lane: Lane) -> bool:
        """Whether another sender has jobs of this class, or anybody has more urgent ones."""
        mine = lane.priority, lane.sender
        classes = PRIORITIES[: PRIORITIES.index(lane.priority) + 1]
        all_of_them = ((priority, sender) for priority in classes for sender in self._store.senders(priority))
        return any(self._store.open_jobs(*theirs) for theirs in all_of_them if theirs != mine)

    def _release(self, lane: Lane) -> None:
        """End a lane that found nothing to do; where work came at that very moment, it goes on."""
        self._redis.delete(lane.key)
        if self.next_task(lane):
            self.schedule(lane.priority, lane.sender)

    def queue(self, priority: Priority) -> Queue:
        """RQ's queue of a priority."""
        return Queue(queue_name(priority), connection=self._redis, serializer=JSONSerializer)

    @contextmanager
    def _leased(self, lane: Lane, turn: str) -> Iterator[bool]:
        """While a turn is under way its lane says so, for as long as this process lives; False for a ghost."""
        if self._state(lane) != _WAITING + turn:
            yield False
            return
        ended = threading.Event()
        self._redis.set(lane.key, _RUNNING + turn, ex=LEASE_S)

        def hold() -> None:
            while not ended.wait(_RENEW_S):
                with suppress(RedisError):
                    self._redis.set(lane.key, _RUNNING + turn, ex=LEASE_S)

        holder = threading.Thread(target=hold, daemon=True)
        holder.start()
        try:
            yield True
        finally:
            ended.set()
            holder.join()

    def next_task(self, lane: Lane) -> Task | None:
        """What the lane is to do, by the store alone; jobs that have nothing left are closed on the way."""
        for job in self._store.open_jobs(lane.priority, lane.sender):
            if job.ended() or not job.exists():
                self._store.unmark_open(job, lane.priority)  # a crash came before
                continue
            plan = job.plan()
            if task := self._task(job, plan, lane.number):
                return task
            if plan and len(job.outcomes()) >= len(plan.series):
                self._store.close(job, lane.priority, "finished" if plan.series else "failed")
        return None

    def _task(self, job: Job, plan: Plan | None, lane: int) -> Task | None:
        first = (lane - crc32(job.id.encode())) % self._count  # jobs of a single series are spread, too
        if plan is None:
            return Task(job) if first == 0 else None
        done = job.outcomes()
        return next((Task(job, number) for number in plan.series[first :: self._count] if number not in done), None)

    def _state(self, lane: Lane) -> str | None:
        said = self._redis.get(lane.key)
        return said.decode() if isinstance(said, bytes) else None

    def _enqueue(self, lane: Lane, turn: str) -> None:
        self.queue(lane.priority).enqueue_call(
            _FUNCTION,
            args=(lane.priority, lane.sender, lane.number, turn),
            job_id=turn,
            timeout=-1,
            result_ttl=0,
            failure_ttl=60,
            description=turn,
        )


def queue_name(priority: Priority) -> str:
    """What RQ calls the queue."""
    return f"ich-{priority}"


def _new_ticket() -> str:
    return secrets.token_hex(8)
