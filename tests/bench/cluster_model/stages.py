"""The stages of the simulation: replicas with limits, and batches of slices."""

import random
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any, Literal

import simpy

from tests.bench.cluster_model.cpu import Cpu
from tests.bench.cluster_model.times import Work

Balancing = Literal["random", "least"]
Steps = Generator[simpy.Event, Any, None]


class Replica:
    """A replica of preprocess or rnn: so many requests at the same time, each in a thread of its own."""

    def __init__(self, env: simpy.Environment, cpu: Cpu, work: Work, threads: int) -> None:
        self._cpu, self._work = cpu, work
        self._threads = simpy.Resource(env, threads)

    @property
    def in_hand(self) -> int:
        """Requests that wait or are in work."""
        return self._threads.count + len(self._threads.queue)

    def infer(self, slices: int) -> Steps:
        """Answer one request."""
        with self._threads.request() as turn:
            yield turn
            yield self._cpu.work(self._work.core_s(slices), self._work.threads)


class CnnReplica:
    """A replica of cnn: one batch at a time, filled from the oldest requests that fit."""

    def __init__(self, env: simpy.Environment, cpu: Cpu, work: Work, max_batch: int) -> None:
        self._env, self._cpu, self._work, self._max_batch = env, cpu, work, max_batch
        self._queue: deque[tuple[int, simpy.Event]] = deque()
        self._busy = False
        self.in_hand = 0
        self.slices = 0
        self.batches = 0

    def infer(self, slices: int) -> Steps:
        """Answer one request of at most `max_batch` slices."""
        done = self._env.event()
        self._queue.append((slices, done))
        self.in_hand += slices
        if not self._busy:
            self._env.process(self._run())
            self._busy = True
        yield done
        self.in_hand -= slices
        self.slices += slices

    def _run(self) -> Steps:
        while self._queue:
            batch = self._next_batch()
            self.batches += 1
            yield self._cpu.work(self._work.core_s(sum(slices for slices, _ in batch)), self._work.threads)
            for _, done in batch:
                done.succeed()
        self._busy = False

    def _next_batch(self) -> list[tuple[int, simpy.Event]]:
        batch, room = [self._queue.popleft()], self._max_batch
        room -= batch[0][0]
        while self._queue and self._queue[0][0] <= room:
            batch.append(self._queue.popleft())
            room -= batch[-1][0]
        return batch


class Balancer:
    """Chooses a replica for each request: at random as kube-proxy does, or the one with the fewest in hand."""

    def __init__(self, replicas: Sequence[Replica | CnnReplica], kind: Balancing, chance: random.Random) -> None:
        self.replicas = replicas
        self._kind, self._chance = kind, chance

    def infer(self, slices: int) -> Steps:
        """Answer one request by a replica."""
        if self._kind == "random":
            return self._chance.choice(self.replicas).infer(slices)
        return min(self.replicas, key=lambda replica: (replica.in_hand, self._chance.random())).infer(slices)
