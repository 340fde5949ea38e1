"""Fuzzing with a thousand damaged files; `python -m tests.fuzz` sends more."""

import subprocess
import sys
from random import Random

import pytest

from services.preprocess.png import SIGNATURE
from tests.fuzz.__main__ import Outcome, Row, make_input, table
from tests.fuzz.mutations import MUTATIONS, Mutation
from tests.fuzz.seeds import seeds
from tests.running import ROOT

COUNT = 1000


def test_a_thousand_damaged_files() -> None:
    """In a process of its own, whose memory is measured."""
    command = [sys.executable, "-m", "tests.fuzz", "--count", str(COUNT), "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line[:20].strip(): line[20:].split(maxsplit=4) for line in done.stdout.splitlines()[1:-1]}
    assert rows.keys() == seeds().keys()
    assert sum(int(inputs) for inputs, *_ in rows.values()) == COUNT
    for kind, (_, read, _, _, refused) in rows.items():
        assert int(read) > 0, kind
        assert refused, kind


def test_two_numbers_determine_an_input() -> None:
    assert [make_input(number, 3) for number in range(30)] == [make_input(number, 3) for number in range(30)]
    assert make_input(0, 3) != make_input(0, 4)


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_damage_any_bytes(mutation: Mutation) -> None:
    changed = 0
    for seed in range(40):
        for file in (b"x", b"PK\x03\x04", SIGNATURE, *(found[0] for found in seeds().values())):
            damaged = bytearray(file)
            mutation(damaged, Random(seed))  # noqa: S311 - no secret depends on it
            changed += damaged != file
    assert changed > 100


def test_a_failure_is_reported_with_its_number() -> None:
    outcome = Outcome({"zip": Row()}, ["input 3 (zip): no answer in 30 s"])
    assert table(outcome).endswith("input 3 (zip): no answer in 30 s\n1 failures")
