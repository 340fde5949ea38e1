"""Runs of the batch client on a folder, against a fake gateway."""

import csv
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from services.gateway.batch.__main__ import complete
from services.gateway.batch.jobs_client import Errands, Patience
from services.gateway.batch.journal import Journal
from services.gateway.batch.outputs import FORMATS, Outputs
from services.gateway.batch.run import Run, Wishes
from services.gateway.batch.uploads import Bounds, units_of
from tests.gateway.batch.fake_gateway import FakeGateway

WISHES = Wishes(Bounds(files=4, bytes=10_000))


@dataclass
class Seen:
    """What is shown. `border()` may break the run off at each showing."""

    border: Callable[[], None] = lambda: None
    files: float = 0
    bytes: int = 0
    said: list[str] = field(default_factory=list)

    def going_on(self, files: float, _words: str) -> None:
        self.files = files
        self.border()

    def sent(self, count: int) -> None:
        self.bytes += count

    def say(self, words: str) -> None:
        self.said.append(words)


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Files by their names below the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def studies(folder: Path, count: int, files: int = 2) -> None:
    """Folders of two files each, a folder being a series to the fake gateway."""
    names = (f"p{number // 3}/s{number}/{index}.dcm" for number in range(count) for index in range(files))
    write(folder, {name: name.encode() for name in names})


def run_once(
    gateway: FakeGateway,
    source: Path,
    out: Path,
    seen: Seen | None = None,
    *,
    wishes: Wishes = WISHES,
    clock: Callable[[], float] = lambda: 0.0,
) -> tuple[Run, Seen]:
    """A run from its beginning to its end, as the command does it."""
    seen = seen or Seen(gateway.border)
    out.mkdir(exist_ok=True)
    with (
        closing(Journal(out / "state.jsonl")) as journal,
        closing(Outputs(out, FORMATS, journal.sizes)) as outputs,
        gateway.client() as client,
    ):
        patience = Patience(60, seen.say, sleep=lambda _: None, clock=clock)
        run = Run(Errands(client, patience), journal, outputs, seen, wishes)
        complete(run, units_of(source))
    return run, seen


def reported(out: Path) -> list[str]:
    """The series in NDJSON; the same as those in CSV."""
    series = [
        json.loads(line)["series"]["series_instance_uid"] for line in (out / "reports.ndjson").read_text().splitlines()
    ]
    with (out / "reports.csv").open(newline="") as file:
        assert [row["series_instance_uid"] for row in csv.DictReader(file)] == series
    return sorted(series)
