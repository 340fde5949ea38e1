import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.labels import LABELS
from tests.training.archives import positive, rows, table
from training.io.errors import TrainingError
from training.rsna.labels import UNKNOWN, read_labels


def test_labels_stand_in_the_services_order_whatever_the_tables() -> None:
    found = read_labels(table(range(60)).encode())
    values = found.of([f"ID_{number:09x}" for number in range(60)])
    expected = [[int(label in positive(number)) for label in LABELS] for number in range(60)]
    np.testing.assert_array_equal(values, expected)
    assert values.any(axis=0).all()
    assert (found.duplicates, found.conflicts, found.missing) == (0, 0, 0)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(12 * 6)), st.integers(0, 30))
def test_order_and_duplicates_of_rows_change_nothing(order: list[int], twice: int) -> None:
    lines = [row for number in range(12) for row in rows(number)]
    shuffled = [lines[place] for place in order]
    found = read_labels("".join(["ID,Label\n", *shuffled, *shuffled[:twice]]).encode())
    names = [f"ID_{number:09x}" for number in range(12)]
    np.testing.assert_array_equal(found.of(names), read_labels(table(range(12)).encode()).of(names))
    assert found.duplicates == twice
    assert len(found.values) == 12


def test_rows_that_disagree_leave_their_label_unknown() -> None:
    found = read_labels((table(range(2)) + "ID_000000001_any,0\nID_000000001_any,1\n").encode())
    assert found.of(["ID_000000001"])[0, 0] == UNKNOWN
    assert (found.of(["ID_000000001"])[0, 1:] != UNKNOWN).all()
    assert (found.conflicts, found.duplicates) == (1, 2)


def test_missing_rows_are_unknown_and_counted() -> None:
    found = read_labels(b"ID,Label\nID_a_any,1\n")
    np.testing.assert_array_equal(found.of(["ID_a", "ID_b"]), [[1, *5 * [UNKNOWN]], 6 * [UNKNOWN]])
    assert found.missing == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Image,Label\nID_a_any,1\n", "has the columns Image, Label instead of ID, Label"),
        ("ID,Label,Extra\nID_a_any,1,2\n", "instead of ID, Label"),
        ("ID,Label\nID_a_any,1\nID_a_stroke,0\n", "'stroke' in row 3"),
        ("ID,Label\nID_a_any,1\nany,0\n", "a row without a label in row 3"),
        ("ID,Label\nID_a_any,2\n", "values other than 0 and 1"),
        ("ID,Label\nID_a_any,0.5\n", "values other than 0 and 1"),
        ("ID,Label\nID_a_any,yes\n", "values other than 0 and 1"),
        ("ID,Label\nID_a_any,\nID_b_any,1\n", "values other than 0 and 1"),
        ("ID,Label\nID_a_any,1\nID_b", "not a CSV"),
        ("", "not a CSV"),
        ("ID,Label\n", "has no rows"),
    ],
)
def test_another_table_is_an_error_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(TrainingError, match=words) as caught:
        read_labels(text.encode())
    assert "\n" not in str(caught.value)
