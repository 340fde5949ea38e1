"""`python -m tests.bench.cluster_model`: sizes a cluster for a demand, by simulation.

Without options, prints the table of docs/explanation/sizing.md. `--studies` sizes for one's own demand.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.bench.cluster_model.arrivals import Demand
from tests.bench.cluster_model.measurement import measure_times
from tests.bench.cluster_model.sizing import Price, Result, size, size_of_one_host
from tests.bench.cluster_model.sweeps import sweeps
from tests.bench.cluster_model.times import MEASURED, ServiceTimes
from tests.bench.figures import Figure
from tests.bench.replicated_product import replicated_product

_DEMANDS: Final = (100, 1_000, 10_000, 100_000)
_STUDIES_OF_A_SITE: Final = 200
_SLICE_BYTES: Final = 530_000  # a file of 512 x 512 in 16 bits, without compression
_BLOOD_BYTES: Final = 20 * 1024
_REPORT_BYTES: Final = 60_000
_REPEATS: Final = 8
_COLUMNS: Final = (
    "studies a day",
    "sites",
    "one host: p99 s",
    "cluster: cores",
    "cnn",
    "preprocess",
    "rnn",
    "gateways",
    "workers",
    "stored GB a day",
    "median s",
    "p99 s",
    "core-s a study",
    "cost a study",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and with `--out` draw the sweeps."""
    options = _parser().parse_args(arguments)
    if options.measure:
        with replicated_product(1) as product:
            measure_times(product, _REPEATS).write(options.times)
    times, price = _times(options), Price(options.core_hour, options.gpu_hour)
    print(f"Service times: {times.origin}\n")
    rows = [options.studies] if options.studies else _DEMANDS
    demands = [_demand(each, options) for each in rows]
    found = [(size_of_one_host(each, times, options.p99), size(each, times, options.p99, price)) for each in demands]
    print("\n".join(_table(found)))
    if options.out:
        _draw(times, price, options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cluster_model", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the service times on this machine first")
    parser.add_argument("--times", type=Path, default=MEASURED, help="file of service times (%(default)s)")
    parser.add_argument("--studies", type=float, help="studies a day (the table's four)")
    parser.add_argument("--sites", type=int, help="sites (one for each 200 studies a day)")
    parser.add_argument("--slices", type=int, nargs="+", default=[28, 32, 34, 36, 40], help="slices of studies")
    parser.add_argument("--bursts", type=float, default=0.2, help="share of studies in bursts of 50 (%(default)s)")
    parser.add_argument("--p99", type=float, default=60.0, help="largest 99th percentile in seconds (%(default)s)")
    parser.add_argument("--core-hour", type=float, default=0.04, help="price of a reserved core (%(default)s)")
    parser.add_argument("--gpu-hour", type=float, default=0.0, help="price of the GPU of a cnn replica (%(default)s)")
    parser.add_argument("--gpu-slices-per-s", type=float, help="cnn on GPUs of this speed, which you have measured")
    parser.add_argument("--gpu-batch-s", type=float, default=0.005, help="fixed time of a GPU's batch (%(default)s)")
    parser.add_argument("--cnn-factor", type=float, default=1.0, help="time of another CNN, of the default bundle's")
    parser.add_argument("--out", type=Path, help="folder for the tables and the plot of the sweeps")
    return parser


def _times(options: argparse.Namespace) -> ServiceTimes:
    times = ServiceTimes.read(options.times)
    if options.gpu_slices_per_s:
        return times.with_gpu(options.gpu_slices_per_s, options.gpu_batch_s)
    factor = options.cnn_factor
    cnn = replace(times.cnn, base_s=times.cnn.base_s * factor, slice_s=times.cnn.slice_s * factor)
    return replace(times, cnn=cnn)


def _demand(studies: float, options: argparse.Namespace) -> Demand:
    sites = options.sites or max(1, round(studies / _STUDIES_OF_A_SITE))
    return Demand(studies, sites, tuple(options.slices), burst_share=options.bursts)


def _table(results: Sequence[tuple[Result | None, Result]]) -> Iterator[str]:
    yield f"| {' | '.join(_COLUMNS)} |"
    yield f"|{'---:|' * len(_COLUMNS)}"
    for host, found in results:
        shape, demand = found.shape, found.demand
        parts = " | ".join(
            str(count)
            for count in (shape.cnn, shape.preprocess, shape.rnn, shape.gateways, shape.workers + shape.urgent_workers)
        )
        slices = sum(demand.slices) / len(demand.slices)
        stored = demand.studies_per_day * (slices * (_SLICE_BYTES + _BLOOD_BYTES) + _REPORT_BYTES) / 1e9
        size_cells = f"{_host(host)} | {shape.cores:g} | {parts} | {stored:,.0f}"
        times_and_costs = f"{found.p50_s:.1f} | {found.p99_s:.1f} | {found.core_s:.2f} | {found.cost:.5f}"
        yield f"| {demand.studies_per_day:,.0f} | {demand.sites} | {size_cells} | {times_and_costs} |"


def _host(found: Result | None) -> str:
    return f"{found.shape.cores:g} cores: {found.p99_s:.1f}" if found else "-"


def _draw(times: ServiceTimes, price: Price, out: Path) -> None:
    from tests.bench.plots import draw  # noqa: PLC0415 - a size needs no plots

    out.mkdir(parents=True, exist_ok=True)
    found = list(sweeps(times, price))
    none: list[Figure] = []
    draw("sizing", none, [sweep.curve() for sweep in found], out / "sizing.svg")
    text = "\n\n".join("\n".join([f"## {sweep.title}", "", *sweep.rows()]) for sweep in found)
    (out / "sweeps.md").write_text(f"# Sweeps\n\nService times: {times.origin}\n\n{text}\n")


if __name__ == "__main__":
    sys.exit(main())
