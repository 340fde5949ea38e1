"""The table of a drill: a row for each fault."""

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Final

import httpx

from tests.drill.sender import Sender, Tally

LIMIT_S: Final = 90.0
_START_S: Final = 60.0
_SERIES: Final = 16
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


def print_head() -> None:
    """Print the head of the table."""
    print(f"{'fault':48}" + "".join(f"{name:>12}" for name in _COLUMNS), flush=True)


def print_row(name: str, make: Callable[[], Row | None]) -> bool:
    """Print the row of a fault while it is made; whether it is good. A fault that gives no row is skipped."""
    print(f"{name:48}", end="", flush=True)
    try:
        row = make()
    except (AssertionError, LookupError, TimeoutError) as error:
        print(f"   <- failed: {error}", flush=True)
        return False
    print("    skipped: needs root to mount a small disk" if row is None else row, end="", flush=True)
    good = row is None or row.good
    print("" if good else "   <- failed", flush=True)
    return good


def run_fault(client: httpx.Client, inject: Callable[[Sender], object], recovered: Callable[[], object]) -> Row:
    """Inject a fault in the middle of a job, and wait for recovery.

    Parameters
    ----------
    recovered : waits until the product is as before
    """
    sender = Sender(client, time.monotonic() + _START_S)
    sender.wait_until_started(sender.send(_SERIES))
    injected = time.monotonic()
    sender.deadline = injected + LIMIT_S
    inject(sender)
    sender.send(1)
    sender.wait_until_ended()
    row = Row(sender.tally(), time.monotonic() - injected)
    sender.delete_jobs()
    recovered()
    return row
