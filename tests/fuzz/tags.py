"""Sends invalid numbers in tags through the whole chain: `python -m tests.fuzz.tags --seconds 60 --seed 1`.

The report of each series equals that of the valid series, or a warning, a refusal or a 4xx names the fault. An
exception, a 5xx or a changed report without a reason is a failure, and the exit code is 1.
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

SAME: Final = "same report"
_TOLERANCE: Final = 0.002  # a third of the difference between neighbouring slices


class Failed(Exception):
    """The product violated a requirement."""


async def fuzz(seconds: float, seed: int, limit: int | None = None) -> tuple[Counter[str], list[str]]:
    """The number of series by result, and the failures; ends after `seconds`, or after `limit` cases."""
    results: Counter[str] = Counter()
    failures: list[str] = []
    end = time.monotonic() + seconds
    with TemporaryDirectory() as folder:
        settings = Settings(spool_dir=Path(folder, "spool"), jobs_dir=Path(folder, "jobs"), chunk_slices=4)
        async with open_chain(Path(folder, "bundle"), settings) as chain:
            plain = {name: (await chain.predict(files)).json() for name, files in seeds().items()}
            for case in cases(Random(seed))[:limit]:  # noqa: S311 - no secret depends on it
                if time.monotonic() > end:
                    break
                try:
                    results[await _result(chain, case, plain[case.seed])] += 1
                except Exception as error:  # noqa: BLE001 - every exception is a finding
                    failures.append(f"{case.name}: {error if isinstance(error, Failed) else repr(error)}")
    return results, failures


async def _result(chain: Chain, case: Case, plain: Mapping[str, Any]) -> str:
    answer = await chain.predict(changed(case))
    found = answer.json()
    if answer.status_code == 422:
        return f"422 {found['files'][0]['code'] if 'files' in found else found['code']}"
    if answer.status_code != 200:
        raise Failed(f"status {answer.status_code}: {answer.text[:200]}")
    stated = {item["code"] for item in found["reasons"] if item["severity"] != "note"}
    new = stated - {item["code"] for item in plain["reasons"]}
    if found["status"] == "not_assessed" or new:
        return f"{found['status']} {' '.join(sorted(new))}"
    if not _equal(found, plain) and case.is_another_scale:
        return "another scale"
    if not _equal(found, plain):
        raise Failed("another report, without a reason")
    return SAME


def _equal(found: Mapping[str, Any], plain: Mapping[str, Any]) -> bool:
    """Whether both reports have the same slices in the same order, with the same probabilities."""
    pairs = list(zip(_rows(found), _rows(plain), strict=False))
    same = all(abs(one[label] - other[label]) <= _TOLERANCE for one, other in pairs for label in other)
    return len(_rows(found)) == len(_rows(plain)) and same


def _rows(report: Mapping[str, Any]) -> list[Mapping[str, float]]:
    return [report["series"]["probabilities"], *(item["probabilities"] for item in report["slices"])]


def main() -> int:
    """Read the options, send the series, print a table, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.tags")
    parser.add_argument("--seconds", type=float, default=60, help="limit of time")
    parser.add_argument("--seed", type=int, default=1, help="seed of the order of the cases")
    options = parser.parse_args()
    results, failures = asyncio.run(fuzz(options.seconds, options.seed))
    print("\n".join(f"{count:6} {result}" for result, count in results.most_common()))
    print("\n".join([*failures, f"{results.total() + len(failures)} series, {len(failures)} failures"]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
