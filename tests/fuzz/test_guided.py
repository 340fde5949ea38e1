import subprocess
import sys

from tests.running import ROOT


def test_guided_fuzzing_finds_no_fault_and_new_paths() -> None:
    command = [sys.executable, "-m", "tests.fuzz.guided", "--runs", "400", "--seconds", "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "NEW" in done.stderr
    assert "Done 400 runs" in done.stderr
