"""The queue of the simulation: tickets of senders' lanes, in turn, urgent ones first, as services.gateway.jobs does."""

import random
from collections import Counter, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import simpy

from tests.bench.cluster_model.arrivals import Priority, Study

PRIORITIES: Final[tuple[Priority, ...]] = ("urgent", "routine")
TICKET_S: Final = 5.0
Steps = Generator[simpy.Event, Any, Any]


@dataclass(eq=False)
class Job:
    """A study in the queue: planned first, then assessed."""

    study: Study
    lane: int
    planned: bool = False
    ended_s: float = 0.0
    done: simpy.Event | None = None


@dataclass(eq=False)
class Lane:
    """A lane of one sender in one priority; it has a ticket in the queue, or a worker, or no tasks."""

    priority: Priority
    sender: int
    jobs: deque[Job] = field(default_factory=deque)
    has_ticket: bool = False


class FairQueue:
    """Tickets of lanes, and the workers that wait for one.

    Parameters
    ----------
    lanes : of each sender in each priority
    """

    def __init__(self, env: simpy.Environment, lanes: int, chance: random.Random) -> None:
        self._env, self._count, self._chance = env, lanes, chance
        self._lanes: dict[tuple[Priority, int, int], Lane] = {}
        self._tickets: dict[Priority, deque[Lane]] = {priority: deque() for priority in PRIORITIES}
        self._open: Counter[tuple[Priority, int]] = Counter()
        self._waiting: deque[tuple[tuple[Priority, ...], simpy.Event]] = deque()

    def add(self, study: Study) -> Job:
        """A job of a study in one of its sender's lanes, at random as by the hash of its id."""
        number = self._chance.randrange(self._count)
        job = Job(study, number, done=self._env.event())
        lane = self._lanes.setdefault((study.priority, study.site, number), Lane(study.priority, study.site))
        lane.jobs.append(job)
        self._open[study.priority, study.site] += 1
        self.issue(lane)
        return job

    def issue(self, lane: Lane) -> None:
        """Put the lane's ticket at the end of the queue, where it has tasks and no ticket."""
        if lane.jobs and not lane.has_ticket:
            lane.has_ticket = True
            self._tickets[lane.priority].append(lane)
            self._match()

    def take(self, priorities: tuple[Priority, ...]) -> simpy.Event:
        """An event with the lane of the next ticket of these priorities."""
        found = self._env.event()
        self._waiting.append((priorities, found))
        self._match()
        return found

    def others_wait(self, lane: Lane) -> bool:
        """Whether another sender has open jobs of this priority, or any sender has more urgent ones."""
        own = lane.priority, lane.sender
        allowed = PRIORITIES[: PRIORITIES.index(lane.priority) + 1]
        return any(count and key != own and key[0] in allowed for key, count in self._open.items())

    def end(self, lane: Lane, job: Job) -> None:
        """The job has its report."""
        lane.jobs.remove(job)
        key = lane.priority, lane.sender
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]
        job.ended_s = self._env.now
        if job.done:
            job.done.succeed()

    def tasks(self, lane: Lane) -> Iterator[Job]:
        """The tasks of one ticket: more than one for a few seconds, while nobody else waits."""
        until = self._env.now + TICKET_S
        while lane.jobs:
            yield lane.jobs[0]
            if self._env.now >= until or self.others_wait(lane):
                break
        lane.has_ticket = False
        self.issue(lane)

    def _match(self) -> None:
        """Give tickets to workers that wait, the longest first."""
        for entry in list(self._waiting):
            priorities, found = entry
            queue = next((self._tickets[each] for each in priorities if self._tickets[each]), None)
            if queue:
                self._waiting.remove(entry)
                found.succeed(queue.popleft())
