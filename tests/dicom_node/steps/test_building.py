import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from services.dicom_node.steps.building import BuildFailed, BuildStopped, ChildProcess


def test_a_process_that_fails_is_a_failure(tmp_path: Path) -> None:
    """The folder has no context."""
    with pytest.raises(BuildFailed, match="build_exit_status_1"):
        ChildProcess(60)(tmp_path)


def test_a_process_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="build_timeout"):
        ChildProcess(0.001)(tmp_path)


def test_stopping_kills_what_is_in_progress(tmp_path: Path) -> None:
    builder = ChildProcess(60, command=[sys.executable, "-c", "import time; time.sleep(60)"])
    errors: list[type[BaseException]] = []

    def build() -> None:
        try:
            builder(tmp_path)
        except BuildStopped as error:
            errors.append(type(error))

    thread = Thread(target=build)
    thread.start()
    while not builder._running:
        time.sleep(0.01)
    builder.stop()
    thread.join(10)
    assert errors == [BuildStopped]
    with pytest.raises(BuildStopped):
        builder(tmp_path)
