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
    for step in ("default", "evaluate-phantoms", "samples"):
        assert step in done.stdout
