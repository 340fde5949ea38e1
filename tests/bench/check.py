"""`make bench-check`: what got worse since the committed figures, by ratios and bounds; seconds are not compared."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.bench.figures import JSON_NAME, Figure, read_json

_FRESH: Final = Path(".run/bench") / JSON_NAME
_COMMITTED: Final = Path("docs/explanation/bench") / JSON_NAME


def main(arguments: Sequence[str] | None = None) -> int:
    """1 where something got worse, or there is nothing to compare."""
    asked = _parser().parse_args(arguments)
    for path, advice in ((asked.fresh, "make bench"), (asked.committed, "make bench OUT=docs/explanation/bench")):
        if not path.is_file():
            print(f"There is no {path}: run `{advice}` first.")
            return 1
    fresh, committed = read_json(asked.fresh), read_json(asked.committed)
    for name in committed.keys() - fresh.keys():
        print(f"not measured now: {name}")
    found = list(worse(fresh, committed, asked.tolerance))
    for line in found:
        print(line)
    common = len(fresh.keys() & committed.keys())
    print(f"{len(found)} of {common} figures got worse.")
    return int(bool(found) or not common)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.check", description=__doc__)
    parser.add_argument("fresh", nargs="?", type=Path, default=_FRESH, help="of a run (%(default)s)")
    parser.add_argument("--committed", type=Path, default=_COMMITTED, help="to compare with (%(default)s)")
    parser.add_argument("--tolerance", type=float, default=0.15, help="of a ratio (%(default)s)")
    return parser


def worse(fresh: Mapping[str, Figure], committed: Mapping[str, Figure], tolerance: float) -> Iterator[str]:
    """A line for each figure that misses its bound and did not, and for each ratio that is worse by more than that."""
    for name, now in fresh.items():
        before = committed.get(name)
        if before is None:
            continue
        change = f"{name}: {before.scored:.3f} before, {now.scored:.3f} now"
        if now.missed and not before.missed:
            yield f"{change}, {now.bound_words}"
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
