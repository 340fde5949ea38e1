"""`python -m tests.bench.storage_requests`: requests of an idle gateway to its object storage, by number of jobs.

A real gateway, Redis and SeaweedFS; all jobs have ended. /metrics is read every 15 s, as Prometheus does. The server
counts the requests.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from services.gateway.jobs.store import JobStore
from tests.gateway.jobs.factories import job_of, report_of
from tests.object_storage import running_object_server
from tests.redis_process import redis_url, running_redis
from tests.running import ROOT, free_ports

_SCRAPE_S: Final = 15.0
_SETTLE_S: Final = 130.0
_COUNTER: Final = re.compile(r"SeaweedFS_s3_request_total\{([^}]*)\} (\S+)")
_PRICES: Final = {"PUT": 5e-6, "LIST": 5e-6, "GET": 0.4e-6, "DELETE": 0.0}  # dollars, S3 Standard, us-east-1


def main(arguments: Sequence[str] | None = None) -> int:
    """Print requests an hour, and their price, for each number of jobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="*", default=[0, 100, 1000])
    parser.add_argument("--seconds", type=float, default=330.0, help="of the measurement")
    options = parser.parse_args(arguments)
    for count in options.jobs:
        _print(count, *_measure(count, options.seconds))
    return 0


def _measure(count: int, seconds: float) -> tuple[Counter[str], float]:
    with TemporaryDirectory(prefix="ich-requests-") as name, ExitStack() as stack:
        folder = Path(name)
        (port,) = free_ports(1)
        server = stack.enter_context(running_object_server(folder, f"-metricsPort={port}"))
        os.environ.update(server.environment)
        url = server.new_url()
        _fill(url, folder / "filling", count)
        gateway = stack.enter_context(_gateway(url, folder))
        _wait_until_complete(gateway, count)
        time.sleep(_SETTLE_S)  # the first sweep looks at each job
        before, begin = _requests(port), time.monotonic()
        while time.monotonic() < begin + seconds:
            time.sleep(_SCRAPE_S)
            httpx.get(f"{gateway}/metrics", timeout=30).raise_for_status()
        return _requests(port) - before, time.monotonic() - begin


def _fill(url: str, folder: Path, count: int) -> None:
    """Store ended jobs of one series each."""
    store = JobStore.at(folder, url)

    def fill(number: int) -> None:
        job = job_of(store, folder / str(number), sender="anybody")
        job.create_report(0, report_of("assessed"))
        store.close(job, "routine", "finished")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fill, range(count)))


@contextmanager
def _gateway(url: str, folder: Path) -> Iterator[str]:
    (port,) = free_ports(1)
    (folder / "redis").mkdir()
    with running_redis(folder / "redis") as redis, (folder / "log").open("wb") as log:
        settings = {
            "JOBS_URL": url,
            "JOBS_DIR": str(folder / "jobs"),
            "SPOOL_DIR": str(folder / "spool"),
            "REDIS_URL": redis_url(redis),
        }
        environment = {**os.environ, **{f"ICH_GATEWAY_{name}": value for name, value in settings.items()}}
        command = [sys.executable, "-m", "services.gateway", "--port", str(port), "--no-access-log"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_complete(gateway: str, count: int) -> None:
    """Wait until the worklist knows all jobs."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            page = httpx.get(f"{gateway}/v1/worklist?limit=1", timeout=30).raise_for_status().json()
        except httpx.HTTPError:
            continue
        if page["complete"] and page["total"] == count:
            return
    raise AssertionError("the worklist does not get complete")


def _requests(port: int) -> Counter[str]:
    """Requests that the server has answered, by kind."""
    found: Counter[str] = Counter()
    for labels, value in _COUNTER.findall(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text):
        found[labels.partition('type="')[2].partition('"')[0]] += round(float(value))
    return found


def _print(count: int, requests: Counter[str], seconds: float) -> None:
    hourly = {kind: round(number * 3600 / seconds) for kind, number in sorted(requests.items())}
    dollars = sum(_PRICES.get(kind, 0.0) * number for kind, number in hourly.items()) * 24 * 30
    print(f"{count} jobs: {sum(hourly.values())} requests an hour, {dollars:.2f} USD a month; {hourly}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
