"""Runs of the batch client on a folder, with a fake gateway."""

import csv
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from services.common.retry_policy import RetryPolicy
from services.gateway.batch.jobs_client import JobsClient
from services.gateway.batch.journal import Journal
from services.gateway.batch.outputs import FORMATS, Outputs
from services.gateway.batch.run import Run, RunOptions
from services.gateway.batch.uploads import JobLimits, find_units
from services.gateway.client import GatewayClient
from tests.gateway.batch.fake_gateway import FakeGateway

OPTIONS = RunOptions(JobLimits(max_files=4, max_bytes=10_000))


@dataclass
class RecordedProgress:
    """Records the progress of a run. `checkpoint()` may interrupt the run at each update."""

    checkpoint: Callable[[], None] = lambda: None
    files: float = 0
    bytes: int = 0
    messages: list[str] = field(default_factory=list)

    def update(self, files: float, _activity: str) -> None:
        self.files = files
        self.checkpoint()

    def add_sent_bytes(self, count: int) -> None:
        self.bytes += count

    def log(self, message: str) -> None:
        self.messages.append(message)


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files; names are relative to the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def studies(folder: Path, count: int, files: int = 2) -> None:
    """Write folders of `files` files; each is a series for the fake gateway."""
    names = (f"p{number // 3}/s{number}/{index}.dcm" for number in range(count) for index in range(files))
    write(folder, {name: name.encode() for name in names})


def run_once(
    gateway: FakeGateway,
    source: Path,
    out: Path,
    progress: RecordedProgress | None = None,
    *,
    options: RunOptions = OPTIONS,
    clock: Callable[[], float] = lambda: 0.0,
) -> tuple[Run, RecordedProgress]:
    """One whole run, as the command does it."""
    progress = progress or RecordedProgress(gateway.checkpoint)
    out.mkdir(exist_ok=True)
    with (
        closing(Journal(out / "state.jsonl")) as journal,
        closing(Outputs(out, FORMATS, journal.sizes)) as outputs,
        gateway.client() as http,
    ):
        client = GatewayClient(http, RetryPolicy(1.0, 60.0), progress.log, sleep=lambda _: None, clock=clock)
        run = Run(JobsClient(client), journal, outputs, progress, options)
        run.complete(find_units(source))
    return run, progress


def reported(out: Path) -> list[str]:
    """The series in the NDJSON file, after a comparison with the CSV file."""
    series = [
        json.loads(line)["series"]["series_instance_uid"] for line in (out / "reports.ndjson").read_text().splitlines()
    ]
    with (out / "reports.csv").open(newline="") as file:
        assert [row["series_instance_uid"] for row in csv.DictReader(file)] == series
    return sorted(series)
