"""A thousand damaged files in the tests; `python -m tests.fuzz` sends more."""

import asyncio
from random import Random

import pytest

from services.preprocess.png import SIGNATURE
from tests.fuzz.__main__ import Outcome, Row, fuzz, make_input, table
from tests.fuzz.mutations import MUTATIONS, Mutation
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import READ

COUNT = 1000


def test_a_thousand_damaged_files() -> None:
    outcome = asyncio.run(fuzz(range(COUNT), seed=7))
    assert outcome.failures == []
    assert sum(row.fates.total() for row in outcome.rows.values()) == COUNT
    for kind, row in outcome.rows.items():
        assert row.fates[READ] > 0, kind
        assert len(row.fates) > 1, kind


def test_an_input_is_made_of_two_numbers() -> None:
    assert [make_input(number, 3) for number in range(30)] == [make_input(number, 3) for number in range(30)]
    assert make_input(0, 3) != make_input(0, 4)


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_damage_and_take_any_bytes(mutation: Mutation) -> None:
    changed = 0
    for seed in range(40):
        for file in (b"x", b"PK\x03\x04", SIGNATURE, *(found[0] for found in seeds().values())):
            damaged = bytearray(file)
            mutation(damaged, Random(seed))  # noqa: S311 - no secret depends on it
            changed += damaged != file
    assert changed > 100


def test_a_failure_is_told_with_its_number() -> None:
    outcome = Outcome({"zip": Row()}, ["input 3 (zip): no answer in 30 s"])
    assert table(outcome).endswith("input 3 (zip): no answer in 30 s\n1 failures")
