"""`make bench`: measures the speed and memory of the running product on this machine.

Prints each figure with its bound. Writes `bench.json`, a table, and a plot for each part.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.bench import chain, cnn, growth, jobs, load, memory, preprocess, requests, rnn
from tests.bench.figures import JSON_NAME, TABLE_NAME, Curve, Figure, table, write_json
from tests.bench.plan import SCANS, Plan, machine

_OUT: Final = Path(".run/bench")
_PARTS: Final[Mapping[str, Callable[[Plan], Iterator[Figure] | Iterator[Figure | Curve]]]] = {
    "preprocess": preprocess.measure,
    "cnn": cnn.measure,
    "rnn": rnn.measure,
    "requests": requests.measure,
    "chain": chain.measure,
    "memory": memory.measure,
    "load": load.measure,
    "growth": growth.measure,
    "jobs": jobs.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 1 where a bound is missed."""
    options = _parser().parse_args(arguments)
    return run(Plan(options.quick, options.scans), options.only or list(_PARTS), options.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--out", type=Path, default=_OUT, help="folder for the results (%(default)s)")
    parser.add_argument(
        "--only", nargs="+", choices=_PARTS, metavar="NAME", help=f"measure these parts only: {', '.join(_PARTS)}"
    )
    parser.add_argument("--quick", action="store_true", help="few repeats, to test the benchmark itself")
    parser.add_argument("--scans", type=Path, default=SCANS, help="folder of real slices (else the samples)")
    return parser


def run(plan: Plan, names: Sequence[str], out: Path) -> int:
    """Measure the named parts; write the results after each, so that a late error loses little."""
    from tests.bench.plots import draw  # noqa: PLC0415 - worker processes import this module and draw nothing

    out.mkdir(parents=True, exist_ok=True)
    machine_name, found = machine(), {}
    print(machine_name, flush=True)
    for name in names:
        print(f"\n{name}", flush=True)
        found[name], curves = _measured(plan, name)
        draw(name, found[name], curves, out / f"{name}.svg")
        write_json([figure for figures in found.values() for figure in figures], out / JSON_NAME)
        (out / TABLE_NAME).write_text(table(found, machine_name))
    return int(any(figure.missed for figures in found.values() for figure in figures))


def _measured(plan: Plan, part: str) -> tuple[list[Figure], list[Curve]]:
    figures, curves = [], []
    for item in _PARTS[part](plan):
        if isinstance(item, Curve):
            curves.append(item)
        else:
            print(item, flush=True)
            figures.append(replace(item, name=f"{part}: {item.name}"))
    return figures, curves


if __name__ == "__main__":
    sys.exit(main())
