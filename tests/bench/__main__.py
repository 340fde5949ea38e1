"""`make bench`: measures the speed and memory of the running product on this machine.

Prints each figure with its bound. Writes `bench.json`, a table, and a plot for each part.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from tests.bench import (
    chain,
    cluster,
    cnn,
    gpu,
    growth,
    hops,
    jobs,
    load,
    memory,
    node,
    peer,
    preprocess,
    requests,
    rnn,
    start,
    worklist,
)
from tests.bench.figures import JSON_NAME, TABLE_NAME, Curve, Figure, Note, table, write_json
from tests.bench.plan import SCANS, Plan, machine

T = TypeVar("T")
_OUT: Final = Path(".run/bench")
_PARTS: Final[Mapping[str, Callable[[Plan], Iterator[Figure | Curve | Note]]]] = {
    "chain": chain.measure,
    "start": start.measure,
    "memory": memory.measure,
    "preprocess": preprocess.measure,
    "cnn": cnn.measure,
    "peer": peer.measure,
    "rnn": rnn.measure,
    "requests": requests.measure,
    "hops": hops.measure,
    "load": load.measure,
    "growth": growth.measure,
    "jobs": jobs.measure,
    "cluster": cluster.measure,
    "node": node.measure,
    "worklist": worklist.measure,
    "gpu": gpu.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 1 where a bound is missed, except in a quick run, whose figures mean nothing."""
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
    for part in _PARTS:  # plots of an earlier run
        (out / f"{part}.svg").unlink(missing_ok=True)
    machine_name, found, notes = machine(), {}, {}
    print(machine_name, flush=True)
    for name in names:
        print(f"\n{name}", flush=True)
        found[name], curves, notes[name] = _measured(plan, name)
        if found[name] or curves:
            draw(name, found[name], curves, out / f"{name}.svg")
        write_json([figure for figures in found.values() for figure in figures], out / JSON_NAME)
        (out / TABLE_NAME).write_text(table(found, machine_name, notes))
    return int(not plan.quick and any(figure.missed for figures in found.values() for figure in figures))


def _measured(plan: Plan, part: str) -> tuple[list[Figure], list[Curve], list[Note]]:
    """The figures, curves and notes of a part; prints figures and notes as they come."""
    items: list[Figure | Curve | Note] = []
    for item in _PARTS[part](plan):
        items.append(replace(item, name=f"{part}: {item.name}") if isinstance(item, Figure) else item)
        if not isinstance(item, Curve):
            print(item, flush=True)
    return _of(Figure, items), _of(Curve, items), _of(Note, items)


def _of(kind: type[T], items: Sequence[object]) -> list[T]:
    return [item for item in items if isinstance(item, kind)]


if __name__ == "__main__":
    sys.exit(main())
