import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from training.__main__ import main

PROGRAM = """
import runpy, sys
sys.argv = ["training", "--help"]
try:
    runpy.run_module("training", run_name="__main__")
except SystemExit:
    assert "tensorflow" not in sys.modules
"""


def test_help_lists_the_steps_without_tensorflow() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    for step in ("download", "index", "folds", "shards", "default", "evaluate-phantoms", "implant", "samples"):
        assert step in done.stdout


def test_a_step_that_cannot_go_on_says_why_in_one_sentence_and_fails() -> None:
    command = [sys.executable, "-m", "training", "index", "nothing.zip"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "nothing.zip cannot be read: No such file or directory.\n"


def test_a_bundle_is_mixed_in_by_the_configuration_that_says_how_much() -> None:
    command = [sys.executable, "-m", "training", "default", "--soup", "models/default"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("--soup goes with --large")


def test_weights_alone_are_begun_with_where_only_the_cnn_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "weights.npz").touch()
    command = [sys.executable, "-m", "training", "default", "--large", "--begin", str(tmp_path / "weights.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("--begin with weights alone goes with --cnn-only")


@pytest.mark.parametrize("share", ["1.5", "-0.1", "nan", "some"])
def test_what_is_no_share_is_refused(
    share: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["training", "phantoms", f"--small={share}"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"{share} is no share" in capsys.readouterr().err


def test_ctrl_c_ends_a_step_in_one_sentence(tmp_path: Path) -> None:
    # Whoever starts the tests in the background may have told them to ignore the signal.
    heeding = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    )
    step_of = ["-m", "training", "phantoms", "--studies", "40", "--out", str(tmp_path / "made.zip")]
    command = [sys.executable, "-c", heeding, sys.executable, *step_of]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as step:
        assert step.stderr
        first = step.stderr.readline()
        os.killpg(step.pid, signal.SIGINT)  # as a terminal does: the processes that make phantoms get it, too
        rest = step.stderr.read()
    assert step.returncode == 130
    assert "Traceback" not in rest, first
    assert rest.endswith("Stopped. The same command goes on from what it has kept.\n")
