"""`python -m tests.attack`: attacks a running product, one attack after the other.

Each attack gives one row: its answer, its seconds, the peak of the gateway's memory, and how a second sender fared
meanwhile: the share of its predictions answered with 200, and the 95th percentiles of a prediction and of `/livez`.

Exits with 1 where an answer breaks the row's limit, the gateway died, the second sender got less than 95 % of its
answers, or `/livez` took longer than 0.5 s. A row that fails is run once more, since the machine may be busy: the
second run counts. The product's log is in .run/attack.log.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.attack import archives, audit, bodies, browsers, bundles, connections, decoders, keys, local, quotas, shares
from tests.attack.attack import SENDERS, Attack, Target
from tests.attack.neighbour import watching
from tests.running import NAMES, ROOT, Service, running_service

ATTACKS: Final = (
    *archives.ATTACKS,
    *bodies.ATTACKS,
    *decoders.ATTACKS,
    *browsers.ATTACKS,
    *bundles.ATTACKS,
    *audit.ATTACKS,
    *connections.ATTACKS,
    *shares.ATTACKS,
    *quotas.ATTACKS,
    *keys.ATTACKS,  # last of the senders: a key that is new to its address is refused then
    *local.ATTACKS,
)
_ADDRESS_SPACE_BYTES: Final = 600 * 1024**2
_DESCRIPTORS: Final = 1024
_CALM_S: Final = 60.0
_HEADER: Final = f"{'attack':58}{'answer':44}{'s':>6}{'MB':>6}{'200s':>7}{'pred s':>8}{'livez s':>9}"


@dataclass(frozen=True)
class Row:
    """The measurements of one attack."""

    name: str
    limit: str
    answer: str
    held: bool
    seconds: float
    memory_mb: int
    share: float
    prediction_s: float
    livez_s: float

    def __str__(self) -> str:
        figures = f"{self.seconds:6.1f}{self.memory_mb:6}{self.share:7.0%}{self.prediction_s:8.2f}{self.livez_s:9.2f}"
        return f"{self.name:58.57}{self.answer:44.43}{figures}{'' if self.held else '   <- failed'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the attacks: 0 where all rows are good."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="only attacks whose names contain this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to a file, for the document")
    parser.add_argument("--once", action="store_true", help="run no row twice")
    options = parser.parse_args(arguments)
    wanted = [attack for attack in ATTACKS if options.only in attack.name]
    with _product() as service:
        print(_HEADER, flush=True)
        rows = [_row_twice(service, attack, once=options.once) for attack in wanted]
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    failed = [row.name for row in rows if not row.held]
    print(f"\nFailed: {'; '.join(failed)}. See .run/attack.log." if failed else f"\nAll {len(rows)} attacks were held.")
    return 1 if failed else 0


@contextmanager
def _product() -> Iterator[Service]:
    """All services as `make run` starts them, with two senders' keys."""
    with tempfile.TemporaryDirectory() as folder:
        senders = Path(folder) / "senders"
        senders.write_text(SENDERS + quotas.LIMITED_SENDER)
        senders.chmod(0o600)
        settings = {f"ICH_{name.upper()}_DRAIN_S": "0" for name in NAMES}
        # Each arena of malloc reserves 64 MB of address space, which the limit counts, used or not.
        settings |= {"ICH_GATEWAY_SENDERS_FILE": str(senders), "MALLOC_ARENA_MAX": "2"}
        settings |= local.webhook_settings(Path(folder)) | quotas.quota_settings(Path(folder))
        with _few_descriptors() as restore, running_service(ROOT / ".run" / "attack.log", more=settings) as service:
            restore()
            yield service


@contextmanager
def _few_descriptors() -> Iterator[Callable[[], None]]:
    """Start processes with the soft limit that most systems have; the attacker then takes its hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _DESCRIPTORS), hard))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _row_twice(service: Service, attack: Attack, *, once: bool) -> Row:
    row = _row(service, attack)
    print(row, flush=True)
    if row.held or once:
        return row
    again = _row(service, attack)
    print(f"{again}   (second run)", flush=True)
    return again


def _row(service: Service, attack: Attack) -> Row:
    """Attack once, and wait until the product has recovered."""
    gateway = service.process("gateway")
    resource.prlimit(gateway, resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    _reset_peak(gateway)
    with watching(service.url) as neighbour:
        begin = time.monotonic()
        outcome = attack.run(Target(service))
        seconds = time.monotonic() - begin
    peak = _peak_mb(gateway)
    service.wait_until_ready(_CALM_S)
    return Row(
        name=attack.name,
        limit=attack.limit,
        answer=outcome.answer if peak else f"{outcome.answer}; the gateway died",
        held=outcome.held and neighbour.served and peak > 0,
        seconds=seconds,
        memory_mb=peak,
        share=neighbour.share,
        prediction_s=neighbour.prediction_s,
        livez_s=neighbour.livez_s,
    )


def _reset_peak(process: int) -> None:
    Path(f"/proc/{process}/clear_refs").write_text("5")


def _peak_mb(process: int) -> int:
    """The peak of a process's resident memory; 0 where the process has died."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)


if __name__ == "__main__":
    sys.exit(main())
