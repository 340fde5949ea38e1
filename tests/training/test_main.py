import subprocess
import sys

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
    for step in ("download", "index", "folds", "shards", "default", "evaluate-phantoms", "samples"):
        assert step in done.stdout


def test_a_step_that_cannot_go_on_says_why_in_one_sentence_and_fails() -> None:
    command = [sys.executable, "-m", "training", "index", "nothing.zip"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "nothing.zip cannot be read: No such file or directory.\n"
