"""Memory of this process and its children, sampled, and this process' peak (Linux)."""

import os
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_EVERY_S: Final = 0.02


class MemoryWatch:
    """`peak_bytes` is the highest sum of resident memory sampled since `reset()`."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._stop = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def reset(self) -> None:
        self.peak_bytes = 0

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident, [os.getpid(), *_children()])))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


def peak_bytes() -> int:
    """The peak of this process' resident memory since its start.

    Not `ru_maxrss`, which a process inherits from the one that starts it: under a test run with TensorFlow in it, a
    gigabyte before the first line.
    """
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _children() -> list[int]:
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def _resident(process: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_BYTES
    return 0
