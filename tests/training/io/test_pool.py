import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.io.errors import CannotGoOn
from training.io.pool import every


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise CannotGoOn(f"{number} is too much.")


def die(_number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@pytest.mark.parametrize("processes", [1, 2])
def test_every_task_has_its_result_and_tasks_are_made_when_they_are_needed(processes: int) -> None:
    made: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    results = every(square, tasks(), processes)
    first = next(results)
    assert len(made) <= 4 * processes
    assert sorted([first, *results]) == [number * number for number in range(20)]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_task_that_cannot_go_on_says_so_here(processes: int) -> None:
    with pytest.raises(CannotGoOn, match="is too much"):
        list(every(refuse, range(4), processes))


def test_a_process_that_is_killed_is_told() -> None:
    with pytest.raises(CannotGoOn, match="One of the processes was killed"):
        list(every(die, range(4), 2))


ORPHANS = """
import os, sys, time
from training.io.pool import every
def main():
    tasks = (os.path.join(sys.argv[1], str(number)) for number in range(2))
    list(every(wait, tasks, 2))
def wait(path):
    open(path, "w").write(str(os.getpid()))
    time.sleep(600)
if __name__ == "__main__":
    main()
"""


def test_processes_end_when_their_parent_has_been_killed(tmp_path: Path) -> None:
    program = tmp_path / "orphans.py"
    program.write_text(ORPHANS)
    root = Path(__file__).parents[3]
    parent = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path)], env={**os.environ, "PYTHONPATH": str(root)}
    )
    files = [tmp_path / "0", tmp_path / "1"]
    while not all(file.is_file() and file.read_text() for file in files):
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    while any(_lives(int(file.read_text())) for file in files):  # pytest's own limit ends a loop without end
        time.sleep(0.05)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
