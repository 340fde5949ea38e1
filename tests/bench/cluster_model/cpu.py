"""Processor sharing: runnable threads share the cores equally, as under a fair scheduler of an operating system."""

import heapq
import itertools
from typing import Any

import simpy


class Cpu:
    """The cores of one host or pod.

    With T runnable threads on C cores, each thread runs at the rate min(1, C / T). So one clock of virtual time serves
    all work: a piece of work ends when the clock has advanced by its core-seconds for each of its threads.
    """

    def __init__(self, env: simpy.Environment, cores: float) -> None:
        self._env = env
        self.cores = cores
        self.used_core_s = 0.0
        self._threads = 0.0
        self._clock = self._at = 0.0
        self._heap: list[tuple[float, int, float, simpy.Event]] = []
        self._number = itertools.count()
        self._plan = 0

    def work(self, core_s: float, threads: float = 1.0) -> simpy.Event:
        """An event that happens when the work is done; `threads` is how many cores it can use."""
        done = self._env.event()
        if core_s <= 0:
            done.succeed()
            return done
        self._advance()
        threads = min(threads, self.cores)
        heapq.heappush(self._heap, (self._clock + core_s / threads, next(self._number), threads, done))
        self._threads += threads
        self._replan()
        return done

    @property
    def _rate(self) -> float:
        """Advance of the virtual clock in a second."""
        return min(1.0, self.cores / self._threads) if self._threads > 1e-12 else 0.0

    def _advance(self) -> None:
        elapsed, self._at = self._env.now - self._at, self._env.now
        self._clock += elapsed * self._rate
        self.used_core_s += elapsed * min(self.cores, self._threads)

    def _replan(self) -> None:
        """Wait for the next end; an earlier plan is void."""
        self._plan += 1
        if self._heap:
            delay = max((self._heap[0][0] - self._clock) / self._rate, 0.0)
            self._env.timeout(delay, self._plan).callbacks.append(self._end)

    def _end(self, event: Any) -> None:
        if event.value != self._plan:
            return
        self._advance()
        end, _, threads, done = heapq.heappop(self._heap)
        self._clock = max(self._clock, end)
        self._threads = max(self._threads - threads, 0.0) if self._heap else 0.0
        done.succeed()
        self._replan()
