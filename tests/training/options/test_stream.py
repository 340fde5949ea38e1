import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.options.stream import StreamOptions
from training.phantom.study_options import StudyOptions

OPTIONS = StreamOptions(
    studies_a_round=3, slices_a_study=4, steps_a_round=5, rounds_kept=2, rounds_at_first=2, first_seed=100
)


@pytest.mark.parametrize(("step", "rounds"), [(0, 2), (4, 2), (5, 3), (14, 4), (15, 5)])
def test_a_round_enters_after_its_steps(step: int, rounds: int) -> None:
    assert OPTIONS.rounds_by(step) == rounds
    assert OPTIONS.slices_by(step) == rounds * 3 * 4


def test_the_studies_of_a_round_follow_those_of_the_round_before() -> None:
    seeds = [request.seed for number in range(3) for request in OPTIONS.requests(number)]
    assert seeds == list(range(100, 109))


def test_requests_have_the_options_and_slices_of_the_stream() -> None:
    options = StudyOptions(kinds=("epidural",))
    requests = StreamOptions(slices_a_study=7, options=options).requests(4)
    assert {request.slices for request in requests} == {7}
    assert {request.options for request in requests} == {options}


@given(st.integers(0, 10_000), st.integers(1, 50))
def test_rounds_never_leave_with_more_steps(step: int, more: int) -> None:
    assert OPTIONS.rounds_by(step + more) >= OPTIONS.rounds_by(step) >= OPTIONS.rounds_at_first
