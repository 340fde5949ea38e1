from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom_node.completeness import (
    Completeness,
    ReceivedSeries,
    Times,
    TransferState,
    judge_completeness,
    missing_numbers,
)

TIMES = Times(quiet_s=15, unnumbered_quiet_s=60, timeout_s=600)
RELEASED = TransferState(1, "released", 1)


def numbered(*numbers: int | None) -> list[tuple[int | None, int]]:
    return [(number, 1) for number in numbers]


def judge(
    numbers: Sequence[tuple[int | None, int]],
    quiet_s: float = 15,
    *transfers: TransferState,
    expected: int | None = None,
    removed: int = 0,
) -> Completeness:
    return judge_completeness(ReceivedSeries(numbers, expected, transfers or (RELEASED,), removed, quiet_s), TIMES)


def codes(found: Completeness) -> list[str]:
    return [warning.code for warning in found.warnings]


def test_a_released_series_without_a_gap_is_complete_when_it_is_quiet() -> None:
    whole = numbered(*range(1, 29))
    assert judge(whole, 14.9).state == "waiting"
    assert judge(whole, 15) == Completeness("complete")


@pytest.mark.parametrize(
    ("numbers", "code", "detail"),
    [
        (numbered(1, 2, 4, 5, 9), "instance_numbers_missing", "InstanceNumbers are missing: 3, 6-8."),
        (
            numbered(*range(1, 60, 2)),
            "instance_numbers_missing",
            "InstanceNumbers are missing: 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 19 more ranges.",
        ),
    ],
)
def test_a_gap_waits_for_the_rest_and_is_named_at_the_time_out(
    numbers: list[tuple[int | None, int]], code: str, detail: str
) -> None:
    assert judge(numbers, 599).state == "waiting"
    ended = judge(numbers, 600)
    assert ended.state == "incomplete"
    assert codes(ended) == ["series_timed_out", code]
    assert ended.warnings[1].detail == detail


def test_an_open_transfer_keeps_the_series_waiting() -> None:
    found = judge(numbered(1, 2), 100, RELEASED, TransferState(2, None))
    assert (found.state, codes(found)) == ("waiting", ["transfer_open"])


def test_an_abort_is_no_completion_even_without_a_gap() -> None:
    aborted = TransferState(1, "aborted", 1)
    assert judge(numbered(*range(1, 71)), 599, aborted).state == "waiting"
    ended = judge(numbered(*range(1, 71)), 600, aborted)
    assert (ended.state, codes(ended)) == ("incomplete", ["series_timed_out", "transfer_aborted"])


def test_a_later_transfer_heals_an_abort() -> None:
    aborted = TransferState(1, "aborted", last_begun=1)
    assert judge(numbered(1, 2), 15, aborted, TransferState(2, "released", 2, added=1, sent=1)).state == "complete"
    assert judge(numbered(1, 2), 15, aborted, TransferState(2, "aborted", 2, added=1, sent=1)).state == "waiting"


def test_a_later_transfer_that_repeats_all_heals_an_abort_and_one_that_repeats_a_part_does_not() -> None:
    aborted = TransferState(1, "aborted", last_begun=1)
    assert judge(numbered(1, 2), 15, aborted, TransferState(2, "released", 2, sent=2)).state == "complete"
    assert judge(numbered(1, 2), 15, aborted, TransferState(2, "released", 2, sent=1)).state == "waiting"


def test_a_transfer_beside_the_aborted_one_does_not_heal_it() -> None:
    """Two senders of halves of one series: the end of one says nothing about the other."""
    aborted = TransferState(1, "aborted", last_begun=2)
    assert judge(numbered(1, 2), 15, aborted, TransferState(2, "released", 2, added=1, sent=1)).state == "waiting"


def test_the_number_of_its_pacs_completes_a_series_at_once() -> None:
    gaps = numbered(3, 7, None)
    found = judge(gaps, 0, TransferState(1, None), expected=3)
    assert found == Completeness("complete")


def test_fewer_instances_than_the_pacs_has_wait() -> None:
    found = judge(numbered(1, 2, 3), 599, expected=5)
    assert (found.state, codes(found)) == ("waiting", ["instances_missing"])
    ended = judge(numbered(1, 2, 3), 600, expected=5)
    assert ended.warnings[1].detail == "3 of 5 instances of the series were received."


def test_more_instances_than_the_pacs_had_follow_the_other_rule() -> None:
    assert judge(numbered(1, 2, 3), 14, expected=2).state == "waiting"
    assert judge(numbered(1, 2, 3), 15, expected=2).state == "complete"


def test_instances_without_a_number_need_more_time_and_a_warning() -> None:
    assert judge(numbered(None, None), 59).state == "waiting"
    found = judge(numbered(None, None), 60)
    assert (found.state, codes(found)) == ("complete", ["instance_numbers_absent"])


def test_equal_numbers_hide_gaps_like_absent_ones() -> None:
    assert judge(numbered(1, 1, 2), 59).state == "waiting"
    found = judge(numbered(1, 1, 2), 60)
    assert (found.state, codes(found)) == ("complete", ["instance_numbers_absent"])
    assert found.warnings[0].detail.startswith("2 of 3 instances have no InstanceNumber of their own")


def test_numbers_that_begin_late_are_a_doubt() -> None:
    found = judge(numbered(5, 6, 7))
    assert (found.state, codes(found)) == ("complete", ["instance_numbers_begin_late"])
    assert judge(numbered(0, 1)).warnings == judge(numbered(-1, 0, 1)).warnings == ()


def test_removed_files_are_missing() -> None:
    found = judge(numbered(1, 2), 0, expected=2, removed=1)
    assert (found.state, codes(found)) == ("waiting", ["files_removed"])
    assert judge(numbered(1, 2), 600, removed=1).state == "incomplete"


@pytest.mark.parametrize(
    ("numbers", "gaps"),
    [
        ([(1, 300)], []),
        ([(1, 30), (2, 30), (3, 1)], []),
        ([(1, 30), (31, 30), (61, 2)], []),
        ([(1, 30), (3, 30)], [range(2, 3)]),
        ([(1, 1), (1, 1), (2, 1)], []),
        ([(3, 1), (None, 1), (1, 1)], [range(2, 3)]),
    ],
)
def test_multi_frame_instances_may_count_frames(numbers: list[tuple[int | None, int]], gaps: list[range]) -> None:
    assert missing_numbers(numbers) == gaps


@given(st.sets(st.integers(1, 60), min_size=1))
def test_gaps_are_the_numbers_between_first_and_last(found: set[int]) -> None:
    gaps = [number for gap in missing_numbers(numbered(*found)) for number in gap]
    assert gaps == [number for number in range(min(found), max(found)) if number not in found]


@given(
    st.lists(st.tuples(st.none() | st.integers(1, 6), st.integers(1, 3)), min_size=1, max_size=6),
    st.none() | st.integers(1, 8),
    st.sampled_from(["released", "aborted", None]),
    st.integers(0, 2),
)
def test_time_alone_ends_waiting_and_an_incomplete_series_always_says_why(
    numbers: list[tuple[int | None, int]], expected: int | None, outcome: object, removed: int
) -> None:
    transfer = TransferState(1, outcome, 1)  # type: ignore[arg-type] # a value of the list above
    states = [judge(numbers, quiet_s, transfer, expected=expected, removed=removed) for quiet_s in (0, 15, 60, 600)]
    order = [found.state for found in states]
    assert order[-1] != "waiting"
    assert sorted(order, key=lambda state: state != "waiting") == order, "a series does not return to waiting"
    assert all(len(found.warnings) > 1 for found in states if found.state == "incomplete")
