"""Memory of each process: idle, and the peak during a long series."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.bench.clients import took_s, upload
from tests.bench.figures import Figure
from tests.bench.plan import Plan, default_product
from tests.running import resident_bytes
from tests.scans import series

_MB = 2**20


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure the product with default settings."""
    with default_product() as service:
        processes = {name: service.process(name) for name in service.ports}
        idle = {name: resident_bytes(process) for name, process in processes.items()}
        yield from (Figure(f"{name}: idle", held / _MB, "MB") for name, held in idle.items())
        for count in plan.choose((34, 300), (34,)):
            call = upload(service.ports["gateway"], series(count))
            for name, peak in _peaks_while(partial(took_s, call), processes).items():
                yield Figure(f"{name}: peak during {count} slices, of idle", peak / _MB, "MB", ratio=peak / idle[name])


def _peaks_while(work: Callable[[], object], processes: dict[str, int]) -> dict[str, int]:
    peaks = dict.fromkeys(processes, 0)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(work)
        while not pending.done():
            peaks = {name: max(peak, resident_bytes(processes[name])) for name, peak in peaks.items()}
            time.sleep(0.01)
    pending.result()
    return peaks
