import logging
from pathlib import Path

import pytest

from training.io.errors import TrainingError
from training.runs.run import Run


def _run(folder: Path) -> Run:
    (folder / "steps").mkdir()
    return Run(folder)


def _finish(run: Run) -> None:
    assert run.start("calibrate", {"rnn": "a"})
    run.path("calibration.json").write_text("1")
    run.finish("calibrate", log_loss=0.5)


def test_a_finished_step_is_passed_over(tmp_path: Path) -> None:
    run = _run(tmp_path)
    _finish(run)
    assert not run.start("calibrate", {"rnn": "a"})
    assert run.figures("calibrate") == {"log_loss": 0.5}


def test_a_step_whose_inputs_changed_says_so_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = _run(tmp_path)
    _finish(run)
    with caplog.at_level(logging.INFO):
        assert run.start("calibrate", {"rnn": "b"})
    assert "rnn changed" in caplog.text
    assert not run.path("calibration.json").exists()
    assert [path.read_text() for path in tmp_path.glob("old/*/calibration.json")] == ["1"]


def test_a_step_whose_file_is_gone_is_done_again(tmp_path: Path) -> None:
    run = _run(tmp_path)
    _finish(run)
    run.path("calibration.json").unlink()
    assert run.start("calibrate", {"rnn": "a"})


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="python -m training features"):
        _run(tmp_path).digest("features")
