"""`python -m tests.bench.traces`: processor time of a prediction of one slice, with traces and without.

All services run in one process. Requests alternate between both ways, so that load of the machine meets both. The spans
are exported between the requests, to a collector in a process of its own.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from services.common import tracing
from services.common.sdk_tracer import SdkTracer
from services.gateway.settings import Settings
from tests.contracts.conftest import Chain, open_chain
from tests.scans import ct_slice

_COLLECTOR: Final = """
import time
from tests.otlp_receiver import receiving_spans
with receiving_spans() as collector:
    print(collector.url, flush=True)
    time.sleep(600)
"""
_A_BATCH: Final = 20  # requests of one export


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.traces", description=__doc__)
    parser.add_argument("--pairs", type=int, default=400)
    pairs = parser.parse_args().pairs
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "600000"  # `_report` exports
    command = [sys.executable, "-c", _COLLECTOR]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as collector, TemporaryDirectory() as folder:
        assert collector.stdout
        tracer = SdkTracer("bench", OTLPSpanExporter(f"{collector.stdout.readline().strip()}/v1/traces"))
        asyncio.run(_measure(Path(folder), tracer, pairs))
        collector.kill()


async def _measure(folder: Path, tracer: SdkTracer, pairs: int) -> None:
    settings = Settings(spool_dir=folder / "spool", jobs_dir=folder / "jobs")
    async with open_chain(folder / "bundle", settings) as chain:
        await _report(chain, tracer, pairs)


async def _report(chain: Chain, tracer: SdkTracer, pairs: int) -> None:
    files = {"slice.dcm": ct_slice()}
    on, off, exports = list[float](), list[float](), list[float]()
    for number in range(pairs + _A_BATCH):
        for traced in (True, False) if number % 2 else (False, True):
            tracing._tracer = tracer if traced else None
            begin = time.process_time()
            (await chain.predict(files)).raise_for_status()
            (on if traced else off).append((time.process_time() - begin) * 1e3)
        if number % _A_BATCH == 0:
            begin = time.process_time()
            await asyncio.to_thread(tracer.flush, 5.0)
            exports.append((time.process_time() - begin) * 1e3)
    tracing._tracer = None
    differences = [with_ms - without_ms for with_ms, without_ms in zip(on[_A_BATCH:], off[_A_BATCH:], strict=True)]
    low, _, high = quantiles(differences, n=4)
    print(f"{pairs} pairs: on {median(on[_A_BATCH:]):.2f} ms, off {median(off[_A_BATCH:]):.2f} ms a request")
    print(f"spans: {median(differences):.2f} ms a request; quartiles {low:.2f}, {high:.2f}")
    print(f"export of {_A_BATCH} requests: {median(exports[1:]):.2f} ms, once in 5 s by default")


if __name__ == "__main__":
    main()
