"""Some series of `python -m tests.fuzz.tags`, and its failures."""

from random import Random

import pytest

from services.preprocess.header_reader import read_header
from tests.fuzz.numeric_tags import Case, cases, changed, seeds
from tests.fuzz.tags import SAME, fuzz

pytestmark = pytest.mark.anyio

COUNT = 40


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_invalid_numbers_are_named() -> None:
    results, failures = await fuzz(seconds=60, seed=3, limit=COUNT)
    assert failures == []
    assert results.total() == COUNT
    assert results[SAME]
    assert results["422 unreadable_tag"]


def test_cases_are_drawn_from_a_seed_and_change_files() -> None:
    drawn, again, other = (cases(Random(seed)) for seed in (1, 1, 2))  # noqa: S311 - no secret depends on it
    assert drawn == again != other
    assert {case.seed for case in drawn} == seeds().keys()
    for case in drawn[:90]:
        files = changed(case)
        assert files.keys() == seeds()[case.seed].keys()
        different = [name for name, file in files.items() if file != seeds()[case.seed][name]]
        assert len(different) <= (len(files) if case.everywhere else 1)


def test_every_value_is_written() -> None:
    files = changed(Case("enhanced", "RescaleSlope", b"not a number", b"", everywhere=True))
    assert files["e.dcm"].count(b"not a number") == 6
    read = files["e.dcm"].replace(b"not a number", b"0,97        ")
    assert len(read_header(read, len(read)).frames) == 6
    files = changed(Case("12 bits", "Rows", b"12", b"DS", everywhere=False))
    assert sum(b"\x28\0\x10\0DS\2\x0012" in file for file in files.values()) == 1
