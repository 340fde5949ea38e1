from dataclasses import replace

import pytest

from tests.training.fakes import FakeShards
from training.data.splits import patients, split
from training.io.errors import TrainingError


def test_folds_become_parts() -> None:
    parts = split(FakeShards(9).entries, 1)
    assert parts.held_out == (0, 3, 6)
    assert parts.validation == (1, 4, 7)
    assert parts.train == (2, 5, 8)
    assert parts.test == ()
    assert split(FakeShards(9).entries, 1, limit=1).every == (0, 1, 2)


def test_a_patient_in_two_folds_is_refused() -> None:
    first, second, *rest = FakeShards(9).entries
    with pytest.raises(TrainingError, match="two folds"):
        split([first, replace(second, patient_id=first.patient_id), *rest], 1)


def test_an_empty_part_is_named() -> None:
    with pytest.raises(TrainingError, match="held_out"):
        split(FakeShards(9).entries[1:3], 1)


def test_series_of_one_patient_are_drawn_together() -> None:
    first, second, third = FakeShards(3).entries
    numbers = patients([first, replace(second, patient_id="p0"), third], (0, 1, 2))
    assert numbers[0] == numbers[1] != numbers[2]
