import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.io.errors import TrainingError
from training.io.pool import parallel_map


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise TrainingError(f"{number} is too much.")


def die(_number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order_and_tasks_are_taken_when_needed(processes: int) -> None:
    made: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    results = parallel_map(square, tasks(), processes)
    first = next(results)
    assert len(made) <= 4 * processes
    assert [first, *results] == [number * number for number in range(20)]


@pytest.mark.parametrize("processes", [1, 2])
def test_the_error_of_a_task_is_raised_in_the_parent(processes: int) -> None:
    with pytest.raises(TrainingError, match="is too much"):
        list(parallel_map(refuse, range(4), processes))


def test_a_killed_worker_process_is_an_error_with_a_remedy() -> None:
    with pytest.raises(TrainingError, match="fewer --processes"):
        list(parallel_map(die, range(4), 2))


ORPHANS = """
import os, sys, time
from training.io.pool import parallel_map
def main():
    tasks = (os.path.join(sys.argv[1], str(number)) for number in range(2))
    list(parallel_map(wait, tasks, 2))
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
