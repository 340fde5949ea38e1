"""Fair scheduling of series over senders, with Redis and RQ.

Each sender has a few lanes in each priority, and each lane has at most one ticket in the queue. A worker that takes a
ticket processes the lane's next task in the store. Then it issues the lane's next ticket, at the end of the queue. So
senders alternate, however much each has sent. Where no other sender waits, a ticket covers several tasks for a few
seconds, which saves processes and connections.

Redis does not hold which task a ticket is for, so nothing is lost with Redis: `reconcile` issues tickets to lanes that
have tasks and no ticket.

A ticket that differs from its lane's state in Redis is stale, and is dropped.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from services.common.problems import Problem
from services.gateway.jobs.job import Job
from services.gateway.jobs.lane_state import Lane, LaneStates
from services.gateway.jobs.schemas import PRIORITIES, Plan, Priority
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.ticket_call import FUNCTION

_TICKET_S: Final = 5.0


class QueueUnavailable(Problem):
    status = 503
    code = "queue_unavailable"
    title = "Jobs cannot be accepted now"
    retry_after_s = 10


@dataclass(frozen=True, slots=True)
class Task:
    """A job to plan (`number` is None), or the series of that number to assess."""

    job: Job
    number: int | None = None

    @property
    def id(self) -> str:
        """An id that is the same in every process; the report of a series has it too."""
        return f"{self.job.id}-{'plan' if self.number is None else f'{self.number:06d}'}"


class FairScheduler:
    """Issues tickets to the lanes of all senders, and processes them.

    Parameters
    ----------
    lanes
        lanes of each sender in each priority
    ticket_s
        longest time in seconds for which one ticket takes further tasks
    """

    def __init__(self, redis: Redis, store: JobStore, lanes: int, *, ticket_s: float = _TICKET_S) -> None:
        self._redis = redis
        self._states = LaneStates(redis)
        self._store = store
        self._lanes = lanes
        self._ticket_s = ticket_s
        self._missing: set[str] = set()  # tickets of lanes that the latest `reconcile` did not find in the queue

    def check_available(self) -> None:
        """QueueUnavailable where Redis cannot take a ticket: down, loading, or full."""
        try:
            self._redis.set("ich:check", "1", ex=60)
        except RedisError as error:
            raise QueueUnavailable("Redis is down or full; nothing was accepted, send the job again later") from error

    def schedule(self, priority: Priority, sender: str) -> None:
        """Issue a ticket to each of a sender's lanes that has a task and no ticket.

        Raises
        ------
        RedisError
            Redis cannot take it; `reconcile` will issue it.
        """
        for lane in self._lanes_of(priority, sender):
            if not self._states.has_ticket(lane) and self.next_task(lane):
                ticket = _new_ticket()
                if self._states.claim(lane, ticket):
                    self._enqueue(lane, ticket)

    def reconcile(self) -> bool:
        """Issue the tickets that are missing; whether any job is open. Call it every few seconds."""
        missing: set[str] = set()
        found = False
        for priority in PRIORITIES:
            for sender in self._store.senders(priority):
                if self._store.open_jobs(priority, sender):
                    found = True
                    self.schedule(priority, sender)
                    missing |= set(self._reissue_lost(priority, sender))
        self._missing = missing
        return found

    def _reissue_lost(self, priority: Priority, sender: str) -> Iterator[str]:
        """Yield tickets of lanes that are not in the queue; reissue those missing for the second time.

        A ticket missing once may be on its way to a worker.
        """
        queued = self._queued(priority)
        for lane in self._lanes_of(priority, sender):
            self._states.bound_lease(lane)
            ticket = self._states.waiting_ticket(lane)
            if ticket and ticket not in queued:
                if ticket in self._missing:
                    self._issue_next(lane)
                else:
                    yield ticket

    def process_ticket(self, lane: Lane, ticket: str, process: Callable[[Task], bool]) -> None:
        """Process the lane's next task, and issue its next ticket where there are more. Drops a stale ticket.

        Parameters
        ----------
        process
            processes a task; False ends the ticket
        """
        with self._states.leased(lane, ticket) as valid:
            if valid:
                self._process_tasks(lane, process)
        if valid:
            self._issue_next(lane) if self.next_task(lane) else self._release(lane)

    def _process_tasks(self, lane: Lane, process: Callable[[Task], bool]) -> None:
        deadline = time.monotonic() + self._ticket_s
        while task := self.next_task(lane):
            with self._states.working(lane, task.id):
                proceed = process(task)
            if task.number is None:
                self.schedule(lane.priority, lane.sender)
            if not proceed or time.monotonic() >= deadline or self._others_wait(lane):
                return

    def _others_wait(self, lane: Lane) -> bool:
        """Whether another sender has open jobs of this priority, or any sender has more urgent ones."""
        own = lane.priority, lane.sender
        priorities = PRIORITIES[: PRIORITIES.index(lane.priority) + 1]
        queues = ((priority, sender) for priority in priorities for sender in self._store.senders(priority))
        return any(self._store.open_jobs(*queue) for queue in queues if queue != own)

    def _issue_next(self, lane: Lane) -> None:
        """Issue the lane's next ticket, at the end of the queue."""
        ticket = _new_ticket()
        self._states.replace(lane, ticket)
        self._enqueue(lane, ticket)

    def _release(self, lane: Lane) -> None:
        """End a lane without tasks, and look once more for a task that came meanwhile."""
        self._states.release(lane)
        if self.next_task(lane):
            self.schedule(lane.priority, lane.sender)

    def queue(self, priority: Priority) -> Queue:
        """RQ's queue of a priority."""
        return Queue(queue_name(priority), connection=self._redis, serializer=JSONSerializer)

    def next_task(self, lane: Lane) -> Task | None:
        """The lane's next task, from the store. Closes jobs without further tasks.

        Tasks are left out that lanes of the other priority process, which the job had before.
        """
        for job in self._store.open_jobs(lane.priority, lane.sender):
            if job.ended() or not job.exists():
                self._store.unmark_open(lane.priority, job)  # a process died after it ended the job
                continue
            plan = job.plan()
            if task := self._task_of(job, plan, lane):
                return task
            if plan and len(job.outcomes()) >= len(plan.series):
                self._store.close(job, lane.priority, "finished" if plan.series else "failed")
                self._store.progressed(job)
        return None

    def _task_of(self, job: Job, plan: Plan | None, lane: Lane) -> Task | None:
        """The job's next task in a lane. Lanes share its series in turn; its id decides which lane is first."""
        first = (lane.number - crc32(job.id.encode())) % self._lanes
        if plan is None:
            tasks = iter([Task(job)] if first == 0 else [])
        else:
            done = job.outcomes()
            tasks = (Task(job, number) for number in plan.series[first :: self._lanes] if number not in done)
        return next((task for task in tasks if not self._states.is_worked_elsewhere(lane, task.id)), None)

    def _queued(self, priority: Priority) -> set[str]:
        """The ids in a queue; an entry of another program may be no text."""
        entries = self._redis.lrange(self.queue(priority).key, 0, -1)
        return {entry.decode(errors="replace") for entry in entries if isinstance(entry, bytes)}

    def _lanes_of(self, priority: Priority, sender: str) -> list[Lane]:
        return [Lane(priority, sender, number) for number in range(self._lanes)]

    def _enqueue(self, lane: Lane, ticket: str) -> None:
        self.queue(lane.priority).enqueue_call(
            FUNCTION,
            args=(lane.priority, lane.sender, lane.number, ticket),
            job_id=ticket,
            timeout=-1,
            result_ttl=0,
            failure_ttl=60,
            description=ticket,
        )


def queue_name(priority: Priority) -> str:
    """The name of RQ's queue."""
    return f"ich-{priority}"


def _new_ticket() -> str:
    return secrets.token_hex(8)
