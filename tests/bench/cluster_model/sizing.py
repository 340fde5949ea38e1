"""Sizes of clusters for a demand, and sweeps of one parameter."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from tests.bench.cluster_model.arrivals import DAY_S, HOUR_S, PEAK, Demand
from tests.bench.cluster_model.cluster import Cluster, Outcome, Shape
from tests.bench.cluster_model.times import ServiceTimes

BEGIN_S: Final = 9.5 * HOUR_S  # before the busiest hours
COUNTED_S: Final = 10.0 * HOUR_S
_MOST_CORES_IN_USE: Final = 0.7  # of each part in the busiest hours, for failures of replicas and for growth
_LEAST_REPLICAS: Final = 2  # of each part of a cluster, so that one may end
_HOSTS: Final = (2, 4, 8, 16)  # cores
_FEWEST_STUDIES: Final = 2000  # in a window, so that a 99th percentile means something
_SEED: Final = 1


@dataclass(frozen=True)
class Price:
    """Prices that a user states, in any currency.

    core_hour : of a core that is reserved, idle or not
    gpu_hour : of a GPU beside the cores of its replica
    """

    core_hour: float = 0.04
    gpu_hour: float = 0.0


DEFAULT_PRICE: Final = Price()


@dataclass(frozen=True)
class Result:
    """One simulated window of the busiest hours.

    core_s : a study, in work
    cost : a study, with all replicas reserved for the whole day
    """

    shape: Shape
    demand: Demand
    p50_s: float
    p99_s: float
    urgent_p99_s: float
    core_s: float
    cost: float
    busiest: float

    def fits(self, most_p99_s: float) -> bool:
        """Whether the turn-around is short enough, and cores are left for failures and growth."""
        return self.p99_s <= most_p99_s and self.busiest <= _MOST_CORES_IN_USE


def simulate(
    shape: Shape, demand: Demand, times: ServiceTimes, price: Price = DEFAULT_PRICE, seed: int = _SEED
) -> Result:
    """The busiest hours of a day; studies before 10 h fill the queues and are not counted."""
    hours = max(1.0, _FEWEST_STUDIES / max(demand.studies_per_day / 24 * PEAK, 1e-9))
    days = ceil(hours / 2.0)
    found: list[Outcome] = []
    for day in range(days):
        studies = demand.studies(seed + day, BEGIN_S, COUNTED_S + 2 * HOUR_S)
        found.append(Cluster(shape, times, seed + day).run(studies).after(COUNTED_S))
    whole = Outcome(
        [job for outcome in found for job in outcome.jobs],
        sum(outcome.seconds for outcome in found),
        sum(outcome.core_s for outcome in found),
        {name: max(outcome.busy[name] for outcome in found) for name in found[0].busy},
    )
    reserved = 24 * (shape.cores * price.core_hour + shape.cnn * price.gpu_hour)
    return Result(
        shape,
        demand,
        whole.percentile_s(50),
        whole.percentile_s(99),
        whole.percentile_s(99, "urgent"),
        core_s_of_a_study(times, demand),
        reserved / demand.studies_per_day,
        max(whole.busy.values()),
    )


def core_s_of_a_study(times: ServiceTimes, demand: Demand, chunk: int = 16) -> float:
    """Core-seconds of a mean study, by the service times; a batch of cnn holds one chunk."""
    slices = sum(demand.slices) / len(demand.slices)
    chunks = sum(ceil(count / chunk) for count in demand.slices) / len(demand.slices)
    job = sum(part.base_s for part in (times.gateway, times.worker, times.rnn))
    stages = times.preprocess, times.cnn
    every = (times.gateway, times.worker, times.rnn, *stages)
    return job + sum(part.base_s for part in stages) * chunks + sum(part.slice_s for part in every) * slices


def size(demand: Demand, times: ServiceTimes, most_p99_s: float, price: Price = DEFAULT_PRICE) -> Result:
    """A cluster with p99 within the limit and no part busier than seven tenths in the busiest hours."""
    shape = _first_shape(demand, times)
    while not (found := simulate(shape, demand, times, price)).fits(most_p99_s):
        shape = _larger(shape)
    return found


def size_of_one_host(demand: Demand, times: ServiceTimes, most_p99_s: float) -> Result | None:
    """One host that runs everything, with as few cores as do; None where the largest is too small."""
    for cores in _HOSTS:
        shape = Shape(shared_cores=cores, cnn_cores=cores, preprocess_cores=cores, workers=max(2, cores // 2))
        work_s = core_s_of_a_study(times, demand) * demand.studies_per_day / DAY_S * PEAK
        if work_s <= _MOST_CORES_IN_USE * cores and (found := simulate(shape, demand, times)).fits(most_p99_s):
            return found
    return None


def _first_shape(demand: Demand, times: ServiceTimes) -> Shape:
    """Replicas by mean work in the busiest hour."""
    slices = sum(demand.slices) / len(demand.slices)
    rate = demand.studies_per_day / DAY_S * PEAK
    chunks = slices / 16

    def replicas(core_s: float, cores: float) -> int:
        return max(_LEAST_REPLICAS, ceil(rate * core_s / (cores * _MOST_CORES_IN_USE)))

    shape = Shape()
    cnn = replicas(times.cnn.base_s * chunks + times.cnn.slice_s * slices, shape.cnn_cores)
    preprocess = replicas(times.preprocess.base_s * chunks + times.preprocess.slice_s * slices, shape.preprocess_cores)
    gateways = replicas(times.gateway.core_s(round(slices)), 1)
    rnn = replicas(times.rnn.core_s(round(slices)), 1)
    # A worker waits for the stages while a study is in them: about the study's seconds without contention.
    alone = Cluster(shape, times).run_closed([[round(slices)]]).turnaround_s[0] - times.idle_s
    workers = max(2, ceil(rate * alone / _MOST_CORES_IN_USE))
    return replace(shape, cnn=cnn, preprocess=preprocess, gateways=gateways, rnn=rnn, workers=workers)


def _larger(shape: Shape) -> Shape:
    """A tenth more of everything, at least one more cnn replica and worker."""
    return replace(
        shape,
        cnn=shape.cnn + max(1, shape.cnn // 10),
        workers=shape.workers + max(1, shape.workers // 10),
        preprocess=shape.preprocess + shape.preprocess // 10,
        gateways=shape.gateways + shape.gateways // 10,
        rnn=shape.rnn + shape.rnn // 10,
    )
