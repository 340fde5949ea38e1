"""The simulated cluster: gateways, queue, workers, and replicas of the stages."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import simpy

from tests.bench.cluster_model.arrivals import Study
from tests.bench.cluster_model.cpu import Cpu
from tests.bench.cluster_model.queue import PRIORITIES, FairQueue, Job, Steps
from tests.bench.cluster_model.stages import Balancer, Balancing, CnnReplica, Replica
from tests.bench.cluster_model.times import ServiceTimes

_PLAN_SHARE: Final = 0.5  # of the worker's fixed work, before the series


@dataclass(frozen=True)
class Shape:
    """Replicas and cores.

    shared_cores : of one host that runs everything; None gives each replica the cores of its kind
    urgent_workers : workers of urgent jobs only
    """

    cnn: int = 1
    preprocess: int = 1
    rnn: int = 1
    gateways: int = 1
    workers: int = 2
    urgent_workers: int = 1
    cnn_cores: float = 2
    preprocess_cores: float = 2
    worker_cores: float = 1
    shared_cores: float | None = None
    balancing: Balancing = "random"
    lanes: int = 8
    chunk_slices: int = 16
    slices_at_once: int = 32
    max_batch: int = 16
    preprocess_threads: int = 4

    @property
    def cores(self) -> float:
        """All cores that are paid."""
        if self.shared_cores is not None:
            return self.shared_cores
        own = self.cnn * self.cnn_cores + self.preprocess * self.preprocess_cores
        return own + (self.workers + self.urgent_workers) * self.worker_cores + self.rnn + self.gateways


@dataclass(frozen=True)
class Outcome:
    """What became of the studies.

    turnaround_s : from the begin of an upload to its report, by study in the order of their ends
    busy : share of the cores of each part that worked
    """

    jobs: Sequence[Job]
    seconds: float
    core_s: float
    busy: dict[str, float] = field(default_factory=dict)
    cnn_slices: Sequence[int] = ()

    @property
    def turnaround_s(self) -> list[float]:
        return [job.ended_s - job.study.at_s for job in self.jobs]

    def percentile_s(self, percent: float, priority: str | None = None) -> float:
        """Turn-around that this percentage of the studies does not exceed."""
        values = sorted(job.ended_s - job.study.at_s for job in self.jobs if priority in (None, job.study.priority))
        return values[min(int(len(values) * percent / 100), len(values) - 1)] if values else 0.0

    def after(self, at_s: float) -> "Outcome":
        """The same with the studies that arrived later only."""
        return replace(self, jobs=[job for job in self.jobs if job.study.at_s >= at_s])

    @property
    def studies_per_s(self) -> float:
        """Throughput from the first arrival to the last report."""
        return len(self.jobs) / self.seconds if self.seconds else 0.0


class Cluster:
    """One simulation; deterministic for a seed."""

    def __init__(self, shape: Shape, times: ServiceTimes, seed: int = 1) -> None:
        self.env = simpy.Environment()
        self.shape, self.times = shape, times
        self.jobs: list[Job] = []
        chance = random.Random(seed)  # noqa: S311 - no secret
        self.queue = FairQueue(self.env, shape.lanes, chance)
        self._host = Cpu(self.env, shape.shared_cores) if shape.shared_cores is not None else None
        self.cpus: dict[str, list[Cpu]] = {}
        gateways = self._cpus("gateway", shape.gateways, 1)
        self._gateways = [Replica(self.env, cpu, times.gateway, 64) for cpu in gateways]
        self._gateway = Balancer(self._gateways, shape.balancing, chance)
        self.cnn = [
            CnnReplica(self.env, cpu, times.cnn, shape.max_batch)
            for cpu in self._cpus("cnn", shape.cnn, shape.cnn_cores)
        ]
        self._cnn = Balancer(self.cnn, shape.balancing, chance)
        self._preprocess = self._balanced("preprocess", shape.preprocess, shape.preprocess_cores, chance)
        self._rnn = self._balanced("rnn", shape.rnn, 1, chance)
        workers = self._cpus("worker", shape.workers + shape.urgent_workers, shape.worker_cores)
        for number, cpu in enumerate(workers):
            self.env.process(self._work(cpu, PRIORITIES[:1] if number >= shape.workers else PRIORITIES))

    def _cpus(self, name: str, count: int, cores: float) -> list[Cpu]:
        self.cpus[name] = [self._host or Cpu(self.env, cores) for _ in range(count)]
        return self.cpus[name]

    def _balanced(self, name: str, count: int, cores: float, chance: random.Random) -> Balancer:
        threads = self.shape.preprocess_threads if name == "preprocess" else 1
        work = self.times.preprocess if name == "preprocess" else self.times.rnn
        replicas = [Replica(self.env, cpu, work, threads) for cpu in self._cpus(name, count, cores)]
        return Balancer(replicas, self.shape.balancing, chance)

    def run(self, studies: Iterable[Study]) -> Outcome:
        """Simulate open arrivals until every study has its report."""
        self.env.process(self._arrive(studies))
        self.env.run()
        return self.outcome()

    def run_closed(self, clients: Sequence[Sequence[int]], pause_s: float = 0.0) -> Outcome:
        """Simulate clients of one sender that each send their next study, of so many slices, after the last report."""
        for slices in clients:
            self.env.process(self._client(slices, pause_s))
        self.env.run()
        return self.outcome()

    def outcome(self) -> Outcome:
        """The studies that have ended, and the use of the cores."""
        ended = [job for job in self.jobs if job.ended_s]
        begin = min((job.study.at_s for job in ended), default=0.0)
        seconds = max((job.ended_s for job in ended), default=0.0) - begin
        every = {id(cpu): cpu for cpus in self.cpus.values() for cpu in cpus}
        busy = {
            name: sum(cpu.used_core_s for cpu in cpus) / max(sum(cpu.cores for cpu in cpus) * seconds, 1e-9)
            for name, cpus in self.cpus.items()
        }
        core_s = sum(cpu.used_core_s for cpu in every.values())
        return Outcome(ended, seconds, core_s, busy, [replica.slices for replica in self.cnn])

    def _arrive(self, studies: Iterable[Study]) -> Steps:
        for study in studies:
            yield self.env.timeout(study.at_s - self.env.now)
            self.env.process(self._upload(study))

    def _client(self, slices: Sequence[int], pause_s: float) -> Steps:
        for count in slices:
            job = yield self.env.process(self._upload(Study(self.env.now, 0, count)))
            yield job.done
            yield self.env.timeout(pause_s)

    def _upload(self, study: Study) -> Steps:
        yield from self._gateway.infer(study.slices)
        yield self.env.timeout(self.times.idle_s)
        job = self.queue.add(study)
        self.jobs.append(job)
        return job

    def _work(self, cpu: Cpu, priorities: Sequence[str]) -> Steps:
        while True:
            lane = yield self.queue.take(tuple(priorities))  # type: ignore[arg-type]
            for job in self.queue.tasks(lane):
                if job.planned:
                    yield from self._assess(cpu, job)
                    self.queue.end(lane, job)
                else:
                    yield cpu.work(self.times.worker.base_s * _PLAN_SHARE)
                    job.planned = True

    def _assess(self, cpu: Cpu, job: Job) -> Steps:
        yield cpu.work(self.times.worker.base_s * (1 - _PLAN_SHARE))
        size, slices = self.shape.chunk_slices, job.study.slices
        chunks = [min(size, slices - at) for at in range(0, slices, size)]
        in_flight = simpy.Resource(self.env, max(self.shape.slices_at_once // size, 1))
        yield self.env.all_of([self.env.process(self._chunk(cpu, in_flight, chunk)) for chunk in chunks])
        yield from self._rnn.infer(slices)

    def _chunk(self, cpu: Cpu, in_flight: simpy.Resource, slices: int) -> Steps:
        with in_flight.request() as turn:
            yield turn
            yield cpu.work(self.times.worker.slice_s * slices)
            yield from self._preprocess.infer(slices)
            yield from self._cnn.infer(slices)
