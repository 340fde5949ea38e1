"""Two processes on JAX over sockets train as one does; a killed one ends the other, and the training resumes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from training.io.errors import TrainingError
from training.io.parts import Part
from training.train.processes import ALONE, Processes, together

STEPS = 20
ENDED_S = 120.0  # the heartbeat is 30 s; the rest is for a loaded machine


def test_one_process_leads_reads_whole_batches_and_decides_alone() -> None:
    assert ALONE.leads
    assert not ALONE.are_several
    assert ALONE.rows(7) == slice(0, 7)
    assert [ALONE.decided(value) for value in (True, False)] == [True, False]
    ALONE.check_equal("configuration", "any")
    np.testing.assert_array_equal(ALONE.gather(np.arange(3)), [[0, 1, 2]])


def test_processes_share_the_series_of_a_validation() -> None:
    shared = [Processes(Part(number, 3)).share(range(7)) for number in (1, 2, 3)]
    assert sorted(series for own in shared for series in own) == list(range(7))


def test_several_processes_need_jax() -> None:
    with pytest.raises(TrainingError, match="several processes need KERAS_BACKEND=jax"), together("h:1", Part(1, 2)):
        raise AssertionError("not reached")


def start(folder: Path, *group: str, steps: int = STEPS) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.training.train.several_processes", str(folder), str(steps), *group]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "2"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@contextmanager
def two(folder: Path, steps: int = STEPS) -> Iterator[list[subprocess.Popen[str]]]:
    """Two processes that train together, and end with the context."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    processes = [start(folder, f"{number}/2", address, steps=steps) for number in (1, 2)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def ends_well(process: subprocess.Popen[str], step: int) -> None:
    said = process.communicate()[0]
    assert process.returncode == 0, said[-3000:]
    assert said.splitlines()[-1].startswith(f"{step} ")


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "cnn.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.train
@pytest.mark.timeout(900)  # compiles up to four networks
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """With batch normalisation, dropout, augmentation, a shuffled order, a moving average and validations."""
    ends_well(start(tmp_path / "one"), STEPS)
    with two(tmp_path / "two") as processes:
        for process in processes:
            ends_well(process, STEPS)
    one, other = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == len(other) == STEPS
    np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-3)
    with np.load(tmp_path / "one" / "cnn.npz") as alone, np.load(tmp_path / "two" / "cnn.npz") as together_:
        names = [name for name in alone.files if name.isdigit()]
        assert len(names) > 100  # weights, their averages and Adam's moments of the gradients
        for name in names:
            first, second = alone[name].astype(np.float64), together_[name].astype(np.float64)
            assert np.linalg.norm(second - first) <= 0.05 * np.linalg.norm(first) + 1e-4, name


@pytest.mark.train
@pytest.mark.timeout(900)  # compiles up to four networks
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_other_and_the_training_resumes(tmp_path: Path, killed: int) -> None:
    with two(tmp_path, steps=1_000_000) as processes:
        while not (tmp_path / "cnn.npz").exists():
            assert all(process.poll() is None for process in processes)
            time.sleep(0.1)
        processes[killed].send_signal(signal.SIGKILL)
        said = processes[1 - killed].communicate(timeout=ENDED_S)[0]
        assert processes[1 - killed].returncode != 0
    assert "start all of them again" in said or "another task died" in said, said[-3000:]
    if killed == 0:
        return  # the resume below is the same
    with np.load(tmp_path / "cnn.npz") as held:
        step = int(held["step"])
    with two(tmp_path, steps=step + 2) as processes:
        for process in processes:
            ends_well(process, step + 2)
