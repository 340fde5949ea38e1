"""Jobs on a cluster: a simulation, checked against the running product with one and two replicas of cnn."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from tests.bench.cluster_model.cluster import Cluster, Outcome, Shape
from tests.bench.cluster_model.measurement import CORES, POLL_S, Load, measure_load, measure_times
from tests.bench.cluster_model.sweeps import sweeps
from tests.bench.cluster_model.times import ServiceTimes
from tests.bench.figures import Curve, Figure, Note
from tests.bench.plan import Plan
from tests.bench.replicated_product import replicated_product

_WORKERS: Final = 2
_TOLERANCE: Final = 0.25
_SEEDS: Final = 10


def measure(plan: Plan) -> Iterator[Figure | Curve | Note]:
    """Measure service times, and loads of one and two replicas; simulate the same loads, then larger clusters."""
    clients = [[34] * plan.choose(8, 1)] * plan.choose(4, 2)
    times = None
    for replicas in (1, 2):
        with replicated_product(replicas, _WORKERS) as product:
            times = times or measure_times(product, plan.choose(6, 1))
            measure_load(product, [[16]] * 2)  # warm-up
            load = measure_load(product, clients)
        yield from _compared(replicas, load, simulated(times, replicas, load.cores, clients))
    assert times
    yield from _times(times)
    for sweep in sweeps(times, quick=plan.quick):
        yield sweep.curve()


def simulated(times: ServiceTimes, replicas: int, cores: float, clients: Sequence[Sequence[int]]) -> Outcome:
    """Simulations of a measured load: everything on one host; half a poll passes until a client sees its report."""
    shape = Shape(
        cnn=replicas,
        workers=_WORKERS,
        urgent_workers=0,
        cnn_cores=CORES,
        preprocess_cores=CORES,
        shared_cores=cores,
    )
    found = [Cluster(shape, times, seed).run_closed(clients, pause_s=POLL_S / 2) for seed in range(_SEEDS)]
    jobs = [job for outcome in found for job in outcome.jobs]
    return replace(found[0], jobs=jobs, seconds=sum(outcome.seconds for outcome in found))


def _compared(replicas: int, load: Load, found: Outcome) -> Iterator[Figure]:
    name = f"{replicas} cnn {'replica' if replicas == 1 else 'replicas'}"
    yield Figure(f"{name}: cores left by clients and others", load.cores, "cores")
    pairs = {
        "studies per second": (load.jobs_per_s, found.studies_per_s, "1/s", _TOLERANCE),
        "median turn-around": (_percentile(load.turnaround_s, 50), found.percentile_s(50), "s", _TOLERANCE),
        "99th percentile of turn-around": (_percentile(load.turnaround_s, 99), found.percentile_s(99), "s", None),
    }
    for what, (measured, expected, unit, bound) in pairs.items():
        yield Figure(f"{name}: {what}, measured", measured, unit)
        yield Figure(f"{name}: {what}, simulated", expected, unit)
        deviation = abs(expected / measured - 1)
        yield Figure(f"{name}: {what}, deviation of the simulation", 100 * deviation, "%", deviation, bound)


def _percentile(values: Sequence[float], percent: float) -> float:
    return sorted(values)[min(int(len(values) * percent / 100), len(values) - 1)]


def _times(times: ServiceTimes) -> Iterator[Figure]:
    for part in ("gateway", "worker", "preprocess", "cnn", "rnn"):
        work = getattr(times, part)
        yield Figure(f"service time of {part}, fixed", 1e3 * work.base_s, "core-ms")
        yield Figure(f"service time of {part}, a slice", 1e3 * work.slice_s, "core-ms")
    yield Figure("an unloaded job waits", times.idle_s, "s")
