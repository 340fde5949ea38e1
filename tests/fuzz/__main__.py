"""Damaged files by the ten thousand: `python -m tests.fuzz --count 50000 --seed 1`.

Prints a table and ends with 1 if an input led to an exception, a 5xx, a hang or more than 1 GB of memory. A failed
input is made again by `--only NUMBER --write FILE`.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.fuzz.memory import MemoryWatch
from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import READ, Failed, Targets

MAX_BYTES: Final = 10**9
_ALIVE_EVERY: Final = 500


@dataclass(slots=True)
class Row:
    """What became of the inputs of one kind."""

    fates: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0
    peak_bytes: int = 0


@dataclass(slots=True)
class Outcome:
    """The table, and each failure's number, kind and words."""

    rows: dict[str, Row]
    failures: list[str]


def make_input(number: int, seed: int) -> tuple[str, bytes]:
    """The kind and bytes of one input, from nothing but two numbers."""
    random, kinds = Random(f"{seed}/{number}"), seeds()  # noqa: S311 - no secret depends on it
    kind = list(kinds)[number % len(kinds)]
    return kind, mutate(random.choice(kinds[kind]), random)


async def fuzz(numbers: Sequence[int], seed: int) -> Outcome:
    """Send inputs one after another to one service."""
    outcome, targets = Outcome({kind: Row() for kind in seeds()}, []), Targets()
    with MemoryWatch() as memory:
        for index, number in enumerate(numbers):
            kind, data = make_input(number, seed)
            memory.reset()
            await _send(targets, number, kind, data, outcome)
            row = outcome.rows[kind]
            row.peak_bytes = max(row.peak_bytes, memory.peak_bytes)
            if index % _ALIVE_EVERY == 0 or number == numbers[-1]:
                await targets.still_answers()
    outcome.failures += [
        f"{kind}: {row.peak_bytes} bytes" for kind, row in outcome.rows.items() if row.peak_bytes > MAX_BYTES
    ]
    return outcome


async def _send(targets: Targets, number: int, kind: str, data: bytes, outcome: Outcome) -> None:
    begin, row = time.perf_counter(), outcome.rows[kind]
    try:
        fate = await targets.send(kind, data)
    except Exception as error:  # noqa: BLE001 - any exception is what is looked for
        fate = "failed"
        outcome.failures.append(f"input {number} ({kind}): {error if isinstance(error, Failed) else repr(error)}")
    row.fates[fate] += 1
    row.slowest_ms = max(row.slowest_ms, (time.perf_counter() - begin) * 1e3)


def table(outcome: Outcome) -> str:
    """The outcome for people."""
    lines = [f"{'kind':20} {'inputs':>7} {'read':>7} {'slowest ms':>11} {'peak MB':>8}  refused"]
    for kind, row in outcome.rows.items():
        refused = ", ".join(f"{code} {count}" for code, count in row.fates.most_common() if code != READ)
        numbers = f"{row.fates.total():7} {row.fates[READ]:7} {row.slowest_ms:11.0f} {row.peak_bytes / 1e6:8.0f}"
        lines.append(f"{kind:20} {numbers}  {refused}")
    return "\n".join([*lines, *outcome.failures, f"{len(outcome.failures)} failures"])


def main() -> int:
    """Read the options, send the inputs, print the table, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=50_000, help="how many inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one input")
    parser.add_argument("--write", type=Path, help="write that input to a file, and send nothing")
    options = parser.parse_args()
    if options.write:
        options.write.write_bytes(make_input(options.only, options.seed)[1])
        return 0
    numbers = range(options.count) if options.only is None else range(options.only, options.only + 1)
    outcome = asyncio.run(fuzz(numbers, options.seed))
    print(table(outcome))
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
