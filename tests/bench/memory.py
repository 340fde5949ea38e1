"""Memory of each program: proportional set size when idle, and the peak during a long series."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from tests.bench.clients import took_s, upload
from tests.bench.figures import Figure
from tests.bench.plan import Plan, product
from tests.running import Service, own_pss_bytes, pss_bytes
from tests.scans import series

_MB: Final = 1e6
_IDLE_MB: Final = 900
_SETTLE_S: Final = 5.0
_STEP_S: Final = 0.1  # reading the set sizes of all processes takes some milliseconds
_ALL: Final = "all processes"


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure the product with default settings: idle after its start, then during series."""
    with product() as service:
        time.sleep(plan.choose(_SETTLE_S, 1.0))
        idle = _held(service)
        for name, held in idle.items():
            yield Figure(f"{name}: idle", held / _MB, "MB", bound=_IDLE_MB if name == _ALL else None)
        for count in plan.choose((34, 300), (34,)):
            call = upload(service.ports["gateway"], series(count))
            for name, peak in _peaks_while(partial(took_s, call), service).items():
                yield Figure(f"{name}: peak during {count} slices, of idle", peak / _MB, "MB", ratio=peak / idle[name])


def _held(service: Service) -> dict[str, int]:
    """Bytes by program, and of all; memory that processes share is divided among them."""
    found = {name: sum(map(pss_bytes, processes)) for name, processes in service.programs().items()}
    found["supervisord"] = own_pss_bytes(service.supervisor)
    return {_ALL: sum(found.values()), **found}


def _peaks_while(work: Callable[[], object], service: Service) -> dict[str, int]:
    peaks = _held(service)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(work)
        while not pending.done():
            peaks = {name: max(peaks.get(name, 0), held) for name, held in _held(service).items()}
            time.sleep(_STEP_S)
    pending.result()
    return peaks
