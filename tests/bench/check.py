"""`make bench-check`: lists figures that are worse than the committed ones, by ratios and bounds, not by seconds."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.bench.figures import JSON_NAME, Figure, read_json

_FRESH: Final = Path(".run/bench") / JSON_NAME
_COMMITTED: Final = Path("docs/explanation/bench") / JSON_NAME


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 1 where a figure is worse, or the files have no figure in common."""
    options = _parser().parse_args(arguments)
    for path, advice in ((options.fresh, "make bench"), (options.committed, "make bench OUT=docs/explanation/bench")):
        if not path.is_file():
            print(f"{path} does not exist: run `{advice}` first.")
            return 1
    fresh, committed = read_json(options.fresh), read_json(options.committed)
    for name in committed.keys() - fresh.keys():
        print(f"not measured now: {name}")
    found = list(worse(fresh, committed, options.tolerance))
    for line in found:
        print(line)
    common = len(fresh.keys() & committed.keys())
    print(f"{len(found)} of {common} figures got worse.")
    return int(bool(found) or not common)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.check", description=__doc__)
    parser.add_argument("fresh", nargs="?", type=Path, default=_FRESH, help="figures of a run (%(default)s)")
    parser.add_argument("--committed", type=Path, default=_COMMITTED, help="figures to compare with (%(default)s)")
    parser.add_argument(
        "--tolerance", type=float, default=0.15, help="largest relative change of a ratio (%(default)s)"
    )
    return parser


def worse(fresh: Mapping[str, Figure], committed: Mapping[str, Figure], tolerance: float) -> Iterator[str]:
    """A line for each figure that newly misses its bound, and for each ratio beyond the tolerance."""
    for name, now in fresh.items():
        before = committed.get(name)
        if before is None:
            continue
        change = f"{name}: {before.compared:.3f} before, {now.compared:.3f} now"
        if now.missed and not before.missed:
            yield f"{change}, {now.bound_text}"
        elif _got_worse(now, before, tolerance):
            yield f"{change}, {now.better} is better"


def _got_worse(now: Figure, before: Figure, tolerance: float) -> bool:
    if now.ratio is None or before.ratio is None:
        return False
    if now.better == "less":
        return now.ratio > before.ratio * (1 + tolerance)
    return now.ratio < before.ratio * (1 - tolerance)


if __name__ == "__main__":
    sys.exit(main())
