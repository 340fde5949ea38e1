from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.check import main, worse
from tests.bench.figures import Figure, write_json

LESS = Figure("less", 10, "ms", ratio=1.0)
MORE = Figure("more", 10, "requests/s", ratio=1.0, better="more")
BOUND = Figure("bound", 2.5, "ms", bound=3)


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        (LESS, replace(LESS, ratio=1.14), False),
        (LESS, replace(LESS, ratio=1.16), True),
        (LESS, replace(LESS, ratio=0.5), False),
        (MORE, replace(MORE, ratio=0.86), False),
        (MORE, replace(MORE, ratio=0.84), True),
        (MORE, replace(MORE, ratio=2.0), False),
        (LESS, replace(LESS, value=1000), False),  # seconds are not compared
        (BOUND, replace(BOUND, value=2.99), False),
        (BOUND, replace(BOUND, value=3.01), True),
        (replace(BOUND, value=4), replace(BOUND, value=5), False),  # the bound was missed before
        (replace(LESS, bound=1.1), replace(LESS, ratio=1.12, bound=1.1), True),
    ],
)
def test_a_worse_figure_is_listed(before: Figure, now: Figure, *, found: bool) -> None:
    assert bool(list(worse({now.name: now}, {before.name: before}, 0.15))) == found


def test_a_new_figure_is_not_compared() -> None:
    assert not list(worse({"new": replace(LESS, bound=0.1)}, {}, 0.15))


def test_the_command_fails_for_a_worse_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    committed, good, bad = (tmp_path / name for name in ("committed.json", "good.json", "bad.json"))
    write_json([LESS, BOUND], committed)
    write_json([LESS], good)
    write_json([replace(LESS, ratio=2), BOUND], bad)
    assert main([str(good), "--committed", str(committed)]) == 0
    assert "not measured now: bound" in capsys.readouterr().out
    assert main([str(bad), "--committed", str(committed)]) == 1
    assert "less: 1.000 before, 2.000 now, less is better" in capsys.readouterr().out


def test_the_command_names_the_command_to_run_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "bench.json")]) == 1
    assert "make bench" in capsys.readouterr().out


def test_runs_without_a_common_figure_fail(tmp_path: Path) -> None:
    write_json([LESS], tmp_path / "one.json")
    write_json([MORE], tmp_path / "two.json")
    assert main([str(tmp_path / "one.json"), "--committed", str(tmp_path / "two.json")]) == 1
