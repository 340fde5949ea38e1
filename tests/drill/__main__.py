"""`python -m tests.drill`: injects one fault after the other into a running product, and counts reports.

Each fault gives one row: accepted series, reported series, lost and duplicate series, and seconds until recovery.
Recovery is complete when all series, and those of a job sent after the fault, are reported. Nothing helps the product.

Exits with 1 where a series is lost or duplicate, or where recovery took longer than 90 s. The product's log is in
.run/drill.log.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

import httpx

from tests.drill.disk import small_disk
from tests.drill.faults import FAULTS, Fault
from tests.drill.sender import Sender, Tally
from tests.drill.surroundings import Surroundings, surroundings
from tests.drill.trust_faults import TRUST_FAULTS
from tests.running import ROOT, Service, jobs_dir, running_service, service_ports

LIMIT_S: Final = 90.0
_START_S: Final = 60.0
_SERIES: Final = 16
_DISK_MB: Final = 96
_COLUMNS: Final = ("accepted", "reported", "lost", "duplicated", "seconds")


@dataclass(frozen=True)
class Row:
    """The effect of a fault."""

    tally: Tally
    seconds: float

    @property
    def good(self) -> bool:
        """Whether no series is lost or duplicate, and recovery was in time."""
        return not self.tally.lost and not self.tally.duplicated and self.seconds <= LIMIT_S

    def __str__(self) -> str:
        return "".join(f"{value:>12}" for value in (*astuple(self.tally), f"{self.seconds:.1f}"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drill: 0 where all rows are good."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="only faults whose names contain this text")
    wanted = [fault for fault in (*FAULTS, *TRUST_FAULTS) if parser.parse_args(arguments).only in fault.name]
    ports = service_ports()
    folder, log = jobs_dir(ports["gateway"]), ROOT / ".run" / "drill.log"
    with (
        surroundings() as around,
        small_disk(folder, _DISK_MB) as small,
        running_service(log, ports, around.settings) as service,
    ):
        print(f"{'fault':40}" + "".join(f"{name:>12}" for name in _COLUMNS), flush=True)
        good = [_row(service, fault, around, small=small) for fault in wanted]
    print("\nNo series is lost or duplicate." if all(good) else "\nSee .run/drill.log.")
    return 0 if all(good) else 1


def _row(service: Service, fault: Fault, around: Surroundings, *, small: bool) -> bool:
    print(f"{fault.name:40}", end="", flush=True)
    if fault.needs_small_disk and not small:
        print("    skipped: needs root to mount a small disk", flush=True)
        return True
    try:
        row = _run_fault(service, fault, around)
    except AssertionError as error:
        print(f"   <- failed: {error}", flush=True)
        return False
    print(f"{row}{'' if row.good else '   <- failed'}", flush=True)
    return row.good


def _run_fault(service: Service, fault: Fault, around: Surroundings) -> Row:
    """Inject a fault in the middle of a job, and wait for recovery."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        sender = Sender(client, time.monotonic() + _START_S)
        sender.wait_until_started(sender.send(_SERIES))
        injected = time.monotonic()
        sender.deadline = injected + LIMIT_S
        fault.inject(service, sender, around)
        sender.send(1)
        sender.wait_until_ended()
        row = Row(sender.tally(), time.monotonic() - injected)
        sender.delete_jobs()
    service.wait_until_ready(LIMIT_S)
    return row


if __name__ == "__main__":
    sys.exit(main())
