import subprocess
import sys
from pathlib import Path

from tests.fuzz.memory import peak_bytes
from tests.running import ROOT

HELD_BYTES = 200_000_000


def test_guided_fuzzing_finds_no_fault_and_new_paths(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.guided", "--runs", "400", "--seconds", "60", "--faults", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert list(tmp_path.iterdir()) == []
    assert "NEW" in done.stderr
    assert "Done 400 runs" in done.stderr


def test_the_peak_excludes_the_memory_of_the_parent() -> None:
    """A parent with much memory starts a child, as a test run does; `ru_maxrss` of the child includes the parent."""
    code = "from tests.fuzz.memory import peak_bytes; print(peak_bytes())"
    parent = (
        f"import subprocess, sys; held = b'x' * {HELD_BYTES}; sys.stdout.write(subprocess.check_output("
        f"[sys.executable, '-c', {code!r}], text=True))"
    )
    done = subprocess.run([sys.executable, "-c", parent], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < HELD_BYTES // 2


def test_the_peak_is_at_least_the_memory_held() -> None:
    before = peak_bytes()
    held = b"x" * (before + 1_000_000)
    assert peak_bytes() > len(held)
