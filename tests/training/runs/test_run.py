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


def test_a_finished_step_is_skipped(tmp_path: Path) -> None:
    run = _run(tmp_path)
    _finish(run)
    assert not run.start("calibrate", {"rnn": "a"})
    assert run.figures("calibrate") == {"log_loss": 0.5}


def test_a_step_with_changed_inputs_logs_them_and_keeps_its_earlier_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = _run(tmp_path)
    _finish(run)
    with caplog.at_level(logging.INFO):
        assert run.start("calibrate", {"rnn": "b"})
    assert "rnn changed" in caplog.text
    assert not run.path("calibration.json").exists()
    assert [path.read_text() for path in tmp_path.glob("old/*/calibration.json")] == ["1"]


def test_a_step_without_its_file_runs_again(tmp_path: Path) -> None:
    run = _run(tmp_path)
    _finish(run)
    run.path("calibration.json").unlink()
    assert run.start("calibrate", {"rnn": "a"})


def test_a_missing_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="python -m training features"):
        _run(tmp_path).digest("features")


def test_an_interrupted_step_resumes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = _run(tmp_path)
    assert run.start("rnn", {"features": "a"})
    with caplog.at_level(logging.INFO):
        assert run.start("rnn", {"features": "a"})
    assert "rnn: resumes" in caplog.text
    assert not (tmp_path / "old").exists()


def test_the_digest_of_a_step_is_that_of_its_first_file(tmp_path: Path) -> None:
    run = _run(tmp_path)
    _finish(run)
    before = run.digest("calibrate")
    run.path("calibration.json").write_text("2")
    run.finish("calibrate")
    assert run.digest("calibrate") != before


def test_the_card_lists_the_inputs_of_finished_steps_only(tmp_path: Path) -> None:
    run = _run(tmp_path)
    _finish(run)
    run.start("evaluate", {"calibration": "b"})
    assert run.inputs() == {"calibrate": {"rnn": "a"}}
