"""Time that has passed between two moments, which no change of the wall clock falsifies.

Within one boot of a machine the clock since boot tells it, across processes too (CLOCK_BOOTTIME of clock_gettime(2)).
Between boots and between machines only the wall clock does: it counts up to a bound, and never backwards.
"""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final, Self

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks at one moment.

    boot : id of the boot; where the system has none, of the process
    boot_s : seconds since an arbitrary moment of the boot
    wall_s : seconds since 1970, by the wall clock
    """

    boot: str
    boot_s: float
    wall_s: float

    @classmethod
    def now(cls, boot_id: Path = _BOOT_ID) -> Self:
        """The present moment. The file holds the id of the boot (proc_sys_kernel(5))."""
        if boot := _read(boot_id):
            return cls(boot, time.clock_gettime(time.CLOCK_BOOTTIME), time.time())
        return cls(_process_id(), time.monotonic(), time.time())

    @classmethod
    def parse(cls, text: bytes | str) -> Self | None:
        """The reading in JSON; None where it has another form."""
        try:
            found = json.loads(text)
            return cls(str(found["boot"]), float(found["boot_s"]), float(found["wall_s"]))
        except (ValueError, TypeError, KeyError):
            return None

    def json(self) -> str:
        """Its JSON."""
        return json.dumps(asdict(self))


def elapsed_s(earlier: Reading, later: Reading, bound_s: float) -> float:
    """Seconds between two readings, never negative.

    Parameters
    ----------
    bound_s
        the most that the wall clock may add, where the readings are of different boots
    """
    if earlier.boot and earlier.boot == later.boot:
        return max(0.0, later.boot_s - earlier.boot_s)
    return min(max(0.0, later.wall_s - earlier.wall_s), bound_s)


@cache
def _process_id() -> str:
    return f"process-{secrets.token_hex(8)}"


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
