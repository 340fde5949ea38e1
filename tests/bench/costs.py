"""The cost of work: wall time, processor time, and energy where this machine counts it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_RAPL: Final = Path(
    "/sys/class/powercap"
)  # Linux power capping framework; a package's counter has the cores of a socket
_SETTLE_S: Final = 0.05  # work that a server does after its answer


class Cost(NamedTuple):
    """Wall time, processor time of all cores, and energy of all packages; None where it is not readable."""

    wall_s: float
    cpu_s: float
    energy_j: float | None = None


def measured_cost(work: Callable[[], object], cpu_s: Callable[[], float], folder: Path = _RAPL) -> Cost:
    """The cost of work whose processor time `cpu_s` counts. The energy is that of the whole machine meanwhile."""
    cpu, energy, begin = cpu_s(), energy_uj(folder), time.perf_counter()
    work()
    wall_s, spent = time.perf_counter() - begin, energy_uj(folder)
    time.sleep(_SETTLE_S)
    return Cost(wall_s, cpu_s() - cpu, None if energy is None or spent is None else (spent - energy) / 1e6)


def energy_uj(folder: Path = _RAPL) -> int | None:
    """Microjoules of all packages by RAPL, or None where a counter is absent or not readable."""
    try:
        found = [
            int((zone / "energy_uj").read_text()) for zone in sorted(folder.glob("intel-rapl:*")) if _package(zone)
        ]
    except OSError:
        return None
    return sum(found) if found else None


def _package(zone: Path) -> bool:
    """Whether a zone is a package; its parts, `intel-rapl:0:0`, are within it."""
    return zone.name.count(":") == 1
