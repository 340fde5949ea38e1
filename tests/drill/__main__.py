"""`python -m tests.drill`: break what can break in a running product, one after the other, and count.

A row a fault: how many series were accepted before and during it, how many of them have a report, how many are lost or
reported twice, and the seconds from the blow until all of them are reported and a job sent afterwards has got through.
Exits with 1 where one is lost or double, or where it took longer than 90 s. Nobody helps: what recovers does so by
itself. The product's log is kept in .run/drill.log.
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
from tests.running import ROOT, Service, jobs_dir, running_service, service_ports

LIMIT_S: Final = 90.0
_BEGIN_S: Final = 60.0
_SERIES: Final = 16
_DISK_MB: Final = 96
_COLUMNS: Final = ("accepted", "reported", "lost", "duplicated", "seconds")


@dataclass(frozen=True)
class Row:
    """What a fault did."""

    tally: Tally
    seconds: float

    @property
    def good(self) -> bool:
        """Whether nothing was lost, nothing double, and it was over in time."""
        return not self.tally.lost and not self.tally.duplicated and self.seconds <= LIMIT_S

    def __str__(self) -> str:
        return "".join(f"{value:>12}" for value in (*astuple(self.tally), f"{self.seconds:.1f}"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drill; 0 where all rows are good."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORDS", help="the faults with these words in their name")
    wanted = [fault for fault in FAULTS if parser.parse_args(arguments).only in fault.name]
    ports = service_ports()
    folder = jobs_dir(ports["gateway"])
    with small_disk(folder, _DISK_MB) as small, running_service(ROOT / ".run" / "drill.log", ports) as service:
        print(f"{'fault':40}" + "".join(f"{name:>12}" for name in _COLUMNS), flush=True)
        good = [_row(service, fault, small=small) for fault in wanted]
    print("\nNothing was lost, nothing is double." if all(good) else "\nSee .run/drill.log.")
    return 0 if all(good) else 1


def _row(service: Service, fault: Fault, *, small: bool) -> bool:
    print(f"{fault.name:40}", end="", flush=True)
    if fault.needs_small_disk and not small:
        print("    not tried: needs root, to mount a small disk", flush=True)
        return True
    row = _suffer(service, fault)
    print(f"{row}{'' if row.good else '   <- not as promised'}", flush=True)
    return row.good


def _suffer(service: Service, fault: Fault) -> Row:
    """Let a fault strike in the middle of a job, and wait until all is well again."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        sender = Sender(client, time.monotonic() + _BEGIN_S)
        sender.wait_until_begun(sender.send(_SERIES))
        struck = time.monotonic()
        sender.deadline = struck + LIMIT_S
        fault.strike(service, sender)
        sender.send(1)
        sender.wait_until_ended()
        row = Row(sender.tally(), time.monotonic() - struck)
        sender.forget()
    service.wait_until_ready(LIMIT_S)
    return row


if __name__ == "__main__":
    sys.exit(main())
