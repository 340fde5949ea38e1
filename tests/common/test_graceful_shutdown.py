import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from services.common.graceful_shutdown import GracefulShutdown
from services.common.problems import NotReady
from tests.running import ROOT, free_ports


@pytest.fixture
def address() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and process of a ready service under uvicorn."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "--factory", "tests.common.shutdown_server:create", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url)
        yield url, process
        process.kill()


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the service does not start")


def test_readiness_ends_before_new_requests_and_requests_in_progress(
    address: tuple[str, subprocess.Popen[bytes]],
) -> None:
    url, process = address
    with ThreadPoolExecutor(1) as caller:
        in_progress = caller.submit(httpx.get, f"{url}/work", timeout=30)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        readiness = httpx.get(f"{url}/readyz")
        assert (readiness.status_code, readiness.json()["cause"]) == (503, "ending")
        assert httpx.get(f"{url}/livez").is_success, "the service still accepts requests"
        time.sleep(0.8)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/livez")
        assert in_progress.result().json() == {"work": "done"}
    assert process.wait(30) in (0, -signal.SIGTERM)


def test_without_a_signal_the_service_runs() -> None:
    shutdown = GracefulShutdown(1)
    shutdown.check()
    shutdown.draining = True
    with pytest.raises(NotReady):
        shutdown.check()
