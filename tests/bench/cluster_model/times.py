"""Service times: core-seconds of each part of a job, measured or assumed."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

MEASURED: Final = Path(__file__).parent / "service_times.json"


@dataclass(frozen=True)
class Work:
    """Core-seconds of a request with so many slices, and the number of threads that it can use."""

    base_s: float
    slice_s: float = 0.0
    threads: float = 1.0

    def core_s(self, slices: int) -> float:
        """Core-seconds in all."""
        return self.base_s + self.slice_s * slices


@dataclass(frozen=True)
class ServiceTimes:
    """Work of the parts, and seconds of a job without any.

    gateway : of an upload
    worker : of a job's tasks in the worker's process
    preprocess, cnn : of a chunk
    rnn : of a series
    idle_s : seconds in which an unloaded job waits: for polls, disks, processes that start
    origin : machine and date of the measurement, or the source of assumed times
    """

    gateway: Work
    worker: Work
    preprocess: Work
    cnn: Work
    rnn: Work
    idle_s: float
    origin: str

    @classmethod
    def read(cls, path: Path = MEASURED) -> Self:
        """The times of a file that `write` has written."""
        members = json.loads(path.read_text())
        parts = {name: Work(**members[name]) for name in ("gateway", "worker", "preprocess", "cnn", "rnn")}
        return cls(**parts, idle_s=members["idle_s"], origin=members["origin"])

    def write(self, path: Path) -> None:
        """Write the times as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def with_gpu(self, slices_per_s: float, batch_s: float) -> Self:
        """The same with a GPU's times for cnn, which nobody has measured here: a device is one core of its own."""
        return replace(self, cnn=Work(batch_s, 1 / slices_per_s), origin=f"{self.origin}; cnn on a GPU is assumed")
