from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from services.common.elapsed import Reading, elapsed_s

BOUND_S = 100.0
times = st.floats(-1e10, 1e10)


def test_the_present_reading_of_this_machine_moves_forward() -> None:
    first = Reading.now()
    second = Reading.now()
    assert first.boot == second.boot
    assert 0 <= elapsed_s(first, second, BOUND_S) < 60
    assert Reading.parse(first.json()) == first


def test_without_an_id_of_the_boot_the_process_counts(tmp_path: Path) -> None:
    first, second = (Reading.now(tmp_path / "none") for _ in range(2))
    assert first.boot == second.boot != Reading.now().boot
    assert 0 <= elapsed_s(first, second, 0.0) < 60


def test_within_one_boot_the_wall_clock_does_not_count() -> None:
    for wall_s in (-1e9, 0.0, 1e9):
        assert elapsed_s(Reading("a", 10.0, 0.0), Reading("a", 500.0, wall_s), BOUND_S) == 490


def test_between_boots_the_wall_clock_counts_up_to_the_bound() -> None:
    for wall_s, expected in ((50.0, 50.0), (1e9, BOUND_S), (-50.0, 0.0)):
        assert elapsed_s(Reading("a", 10.0, 0.0), Reading("b", 20.0, wall_s), BOUND_S) == expected
        assert elapsed_s(Reading("", 0.0, 0.0), Reading("", 0.0, wall_s), BOUND_S) == expected


@given(times, times, times, times, st.sampled_from("ab"))
def test_the_difference_is_never_negative(first: float, second: float, wall: float, later: float, boot: str) -> None:
    found = elapsed_s(Reading("a", first, wall), Reading(boot, second, later), BOUND_S)
    assert found >= 0
    assert boot == "a" or found <= BOUND_S


def test_a_reading_in_another_form_is_none() -> None:
    for text in ("", "1", "[]", "{}", '{"boot": "a"}', b"\xff"):
        assert Reading.parse(text) is None
