"""Numbers that are none, through the whole chain: `python -m tests.fuzz.tags --seconds 60 --seed 1`.

Each series is answered as the sound one, or says what is wrong: by a warning, a refusal or a 4xx that names it. An
exception, a 5xx, or another answer in silence is a failure, and the program ends with 1.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from services.gateway.settings import Settings
from tests.contracts.conftest import Chain, open_chain
from tests.fuzz.numeric_tags import Case, cases, changed, seeds

SAME: Final = "same answer"
_TOLERANCE: Final = 0.002  # a slice differs from its neighbour by three times as much


class Failed(Exception):
    """The product did what it must never do."""


async def fuzz(seconds: float, seed: int, most: int | None = None) -> tuple[Counter[str], list[str]]:
    """What became of how many series, and words for each failure; until time, or the cases, are over."""
    fates: Counter[str] = Counter()
    failures: list[str] = []
    end = time.monotonic() + seconds
    with TemporaryDirectory() as folder:
        settings = Settings(spool_dir=Path(folder, "spool"), jobs_dir=Path(folder, "jobs"), chunk_slices=4)
        async with open_chain(Path(folder, "bundle"), settings) as chain:
            plain = {name: (await chain.predict(files)).json() for name, files in seeds().items()}
            for case in cases(Random(seed))[:most]:  # noqa: S311 - no secret depends on it
                if time.monotonic() > end:
                    break
                try:
                    fates[await _fate(chain, case, plain[case.seed])] += 1
                except Exception as error:  # noqa: BLE001 - any exception is what is looked for
                    failures.append(f"{case.name}: {error if isinstance(error, Failed) else repr(error)}")
    return fates, failures


async def _fate(chain: Chain, case: Case, plain: Mapping[str, Any]) -> str:
    answer = await chain.predict(changed(case))
    found = answer.json()
    if answer.status_code == 422:
        return f"422 {found['files'][0]['code'] if 'files' in found else found['code']}"
    if answer.status_code != 200:
        raise Failed(f"status {answer.status_code}: {answer.text[:200]}")
    said = {item["code"] for item in found["reasons"] if item["severity"] != "note"}
    new = said - {item["code"] for item in plain["reasons"]}
    if found["status"] == "not_assessed" or new:
        return f"{found['status']} {' '.join(sorted(new))}"
    if not _alike(found, plain) and case.is_another_number:
        return "another scale"
    if not _alike(found, plain):
        raise Failed("another answer, in silence")
    return SAME


def _alike(found: Mapping[str, Any], plain: Mapping[str, Any]) -> bool:
    """Whether both have the same slices in the same order, with the same probabilities."""
    pairs = list(zip(_rows(found), _rows(plain), strict=False))
    same = all(abs(one[label] - other[label]) <= _TOLERANCE for one, other in pairs for label in other)
    return len(_rows(found)) == len(_rows(plain)) and same


def _rows(report: Mapping[str, Any]) -> list[Mapping[str, float]]:
    return [report["series"]["probabilities"], *(item["probabilities"] for item in report["slices"])]


def main() -> int:
    """Read the options, send the series, print a table, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.tags")
    parser.add_argument("--seconds", type=float, default=60, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="of the order in which cases come")
    options = parser.parse_args()
    fates, failures = asyncio.run(fuzz(options.seconds, options.seed))
    print("\n".join(f"{count:6} {fate}" for fate, count in fates.most_common()))
    print("\n".join([*failures, f"{fates.total() + len(failures)} series, {len(failures)} failures"]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
