import json
from pathlib import Path

import pytest

from tests.bench.figures import Better, Curve, Figure, Note, measured, median_ratio, read_json, table, write_json
from tests.bench.plots import draw

FIGURES = (
    Figure("cnn: one call", 12.5, "ms", ratio=1.02, bound=1.1, spread=(12, 14)),
    Figure("cnn: throughput", 80, "slices/s", ratio=0.9, bound=0.95, better="more"),
    Figure("cnn: errors", 0, "requests", bound=0),
    Figure("cnn: held", 900, "MB"),
)


@pytest.mark.parametrize(
    ("better", "bound", "missed"),
    [("less", 2.0, False), ("less", 1.9, True), ("more", 2.0, False), ("more", 2.1, True), ("less", None, False)],
)
def test_a_bound_is_an_upper_or_a_lower_limit(better: Better, bound: float | None, *, missed: bool) -> None:
    assert Figure("a", 2.0, "ms", bound=bound, better=better).missed == missed


def test_a_bound_limits_the_ratio_if_there_is_one() -> None:
    assert not Figure("a", 500.0, "ms", ratio=1.05, bound=1.1).missed
    assert Figure("a", 0.5, "ms", ratio=1.2, bound=1.1).missed


def test_repeats_become_a_median_and_a_spread() -> None:
    figure = measured("a", "ms", [5, 1, 2, 3, 4], ratio=1)
    assert (figure.value, figure.spread) == (3, (1.4, 4.6))
    assert measured("a", "ms", [5]).spread is None


def test_measurements_in_turns_are_compared_in_pairs() -> None:
    """A slower machine in the middle of a run changes nothing."""
    assert median_ratio([(2, 1), (20, 10), (200, 100)]) == 2


def test_a_line_marks_a_missed_bound() -> None:
    assert str(FIGURES[1]).endswith("at least 0.95 <- missed")
    assert "at most 1.1" in str(FIGURES[0])
    assert "missed" not in str(FIGURES[0])


def test_figures_are_read_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.json"
    write_json(FIGURES, path)
    assert list(read_json(path).values()) == list(FIGURES)
    assert {"name", "value", "unit", "ratio", "bound", "spread"} <= json.loads(path.read_text())[0].keys()


def test_the_table_has_a_row_for_each_figure() -> None:
    lines = table({"cnn": FIGURES}, "two cores").splitlines()
    assert "two cores" in lines
    assert "| one call | 12.50 ms | 12.00, 14.00 | 1.020 | at most 1.1 |" in lines
    assert "| throughput | 80.00 slices/s |  | 0.900 | at least 0.95 <- missed |" in lines


def test_a_note_stands_below_the_table_of_its_part() -> None:
    lines = table({"cnn": FIGURES, "gpu": ()}, "two cores", {"gpu": [Note("This machine has no GPU.")]}).splitlines()
    assert lines[lines.index("## gpu") :] == ["## gpu", "", "This machine has no GPU."]


def test_the_same_figures_make_the_same_plot(tmp_path: Path) -> None:
    curve = Curve("load", "clients", "s", {"p50": [(1, 1), (4, 2)], "p99": [(1, 2), (4, 3)]}, doubling=True)
    paths = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in paths:
        draw("cnn", FIGURES, [curve], path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"one call" in paths[0].read_bytes()
