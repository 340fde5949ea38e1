"""Sweeps: what replicas, sites and bursts do to turn-around and cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from tests.bench.cluster_model.arrivals import Demand
from tests.bench.cluster_model.cluster import Shape
from tests.bench.cluster_model.sizing import DEFAULT_PRICE, Price, Result, simulate
from tests.bench.cluster_model.times import ServiceTimes
from tests.bench.figures import Curve

T = TypeVar("T")
SLOW_CNN: Final = 20.0  # times the default bundle's, so that replicas of cnn are the bottleneck
_STUDIES_OF_A_SITE: Final = 200
_REPLICAS: Final = (1, 2, 4, 8, 16, 32, 64)
_SITES: Final = (1, 10, 50, 100, 200, 350, 500)
_BURSTS: Final = (0.0, 0.2, 0.4, 0.6)


@dataclass(frozen=True)
class Sweep:
    """Results by the value of one parameter."""

    title: str
    parameter: str
    results: Mapping[float, Result]

    def curve(self, longest_s: float = 300.0) -> Curve:
        """Turn-around over the parameter, without points of an overloaded cluster."""
        shown = {value: found for value, found in self.results.items() if found.p99_s <= longest_s}
        lines = {
            "median": [(value, found.p50_s) for value, found in shown.items()],
            "99th percentile": [(value, found.p99_s) for value, found in shown.items()],
            "99th percentile of urgent studies": [(value, found.urgent_p99_s) for value, found in shown.items()],
        }
        return Curve(self.title, self.parameter, "turn-around, s", lines)

    def rows(self) -> Iterator[str]:
        """A table in Markdown."""
        yield f"| {self.parameter} | studies a day | median s | p99 s | urgent p99 s | cores | cost a study |"
        yield "|---:|---:|---:|---:|---:|---:|---:|"
        for value, found in self.results.items():
            times = " | ".join(seconds(each) for each in (found.p50_s, found.p99_s, found.urgent_p99_s))
            day = f"{found.demand.studies_per_day:,.0f}"
            yield f"| {value:g} | {day} | {times} | {found.shape.cores:g} | {found.cost:.5f} |"


def seconds(value: float) -> str:
    """Seconds with two digits that mean something; hours of an overloaded cluster as such."""
    if value >= 3600:
        return "overloaded"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def sweeps(times: ServiceTimes, price: Price = DEFAULT_PRICE, *, quick: bool = False) -> Iterator[Sweep]:
    """Sweeps of replicas, sites and bursts."""
    demand = Demand(5_000 if quick else 50_000, sites=100)
    slow = replace(
        times, cnn=replace(times.cnn, base_s=times.cnn.base_s * SLOW_CNN, slice_s=times.cnn.slice_s * SLOW_CNN)
    )
    base = Shape(workers=48, urgent_workers=4, preprocess=2, gateways=2)

    def run(shape: Shape, wanted: Demand, network: ServiceTimes) -> Result:
        return simulate(shape, wanted, network, price)

    yield Sweep(
        f"replicas of a cnn that is {SLOW_CNN:g} times as slow",
        "cnn replicas",
        {count: run(replace(base, cnn=count), demand, slow) for count in _some(_REPLICAS, quick=quick)},
    )
    of_sites = {count: Demand(count * _STUDIES_OF_A_SITE, sites=count) for count in _some(_SITES, quick=quick)}
    small = replace(base, workers=4, urgent_workers=1)
    yield Sweep("sites of 200 studies a day", "sites", {n: run(small, each, times) for n, each in of_sites.items()})
    bursts = {100 * share: replace(demand, burst_share=share) for share in _some(_BURSTS, quick=quick)}
    yield Sweep("studies in bursts of 50", "% in bursts", {n: run(small, each, times) for n, each in bursts.items()})


def _some(values: Sequence[T], *, quick: bool) -> Sequence[T]:
    return values[2:4] if quick else values
