"""Fuzzes preprocess with damaged files: `python -m tests.fuzz --count 50000 --seed 1`.

Prints a table. The exit code is 1 if an input causes an exception, a 5xx, a hang or more than 1 GB of memory.
`--only NUMBER --write FILE` writes a failed input again.
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
    """Results of the inputs of one kind."""

    results: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0
    peak_bytes: int = 0


@dataclass(slots=True)
class Outcome:
    """The table, and each failure with its number and kind."""

    rows: dict[str, Row]
    failures: list[str]


def make_input(number: int, seed: int) -> tuple[str, bytes]:
    """The kind and bytes of one input, determined by two numbers."""
    random, kinds = Random(f"{seed}/{number}"), seeds()  # noqa: S311 - no secret depends on it
    kind = list(kinds)[number % len(kinds)]
    return kind, mutate(random.choice(kinds[kind]), random)


async def fuzz(numbers: Sequence[int], seed: int) -> Outcome:
    """Send the inputs to one service, one after another."""
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
    start, row = time.perf_counter(), outcome.rows[kind]
    try:
        result = await targets.send(kind, data)
    except Exception as error:  # noqa: BLE001 - every exception is a finding
        result = "failed"
        outcome.failures.append(f"input {number} ({kind}): {error if isinstance(error, Failed) else repr(error)}")
    row.results[result] += 1
    row.slowest_ms = max(row.slowest_ms, (time.perf_counter() - start) * 1e3)


def table(outcome: Outcome) -> str:
    """The outcome as a table."""
    lines = [f"{'kind':20} {'inputs':>7} {'read':>7} {'slowest ms':>11} {'peak MB':>8}  refused"]
    for kind, row in outcome.rows.items():
        refused = ", ".join(f"{code} {count}" for code, count in row.results.most_common() if code != READ)
        numbers = f"{row.results.total():7} {row.results[READ]:7} {row.slowest_ms:11.0f} {row.peak_bytes / 1e6:8.0f}"
        lines.append(f"{kind:20} {numbers}  {refused}")
    return "\n".join([*lines, *outcome.failures, f"{len(outcome.failures)} failures"])


def main() -> int:
    """Read the options, send the inputs, print the table, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=50_000, help="number of inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="number of a single input")
    parser.add_argument("--write", type=Path, help="write that input to a file instead of sending it")
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
