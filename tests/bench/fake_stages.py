"""The product with fake networks, to measure jobs without TensorFlow."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray

from services.cnn.app import create_app as create_cnn
from services.cnn.settings import Settings as CnnSettings
from services.common.card import open_bundle
from services.rnn.app import create_app as create_rnn
from services.rnn.settings import Settings as RnnSettings
from tests.bundles import write_bundle
from tests.contracts.conftest import FeatureScorer, MeanExtractor
from tests.running import ROOT, service_ports

_BUNDLE: Final = "FAKE_BUNDLE"
_SLEEP_S: Final = "FAKE_SLEEP_S"
_START_S: Final = 120
_APPLICATIONS: Final = {
    "gateway": "services.gateway.app:create",
    "preprocess": "services.preprocess.app:create",
    "cnn": "tests.bench.fake_stages:cnn",
    "rnn": "tests.bench.fake_stages:rnn",
}


class SleepingScorer(FeatureScorer):
    """Sleeps for a set time in each call."""

    def score(
        self, features: NDArray[np.float32], position_mm: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        time.sleep(float(os.environ[_SLEEP_S]))
        return super().score(features, position_mm)


def cnn() -> FastAPI:
    """The cnn application for uvicorn."""
    return create_cnn(MeanExtractor(), open_bundle(Path(os.environ[_BUNDLE])), CnnSettings())


def rnn() -> FastAPI:
    """The rnn application for uvicorn, with 8 threads."""
    return create_rnn(SleepingScorer(), open_bundle(Path(os.environ[_BUNDLE])), RnnSettings(threads=8))


@dataclass
class FakeProduct:
    """The running processes, by name."""

    url: str
    environment: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """Start a Python module as a process."""
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def add_worker(self) -> None:
        """Start one more worker."""
        self.start(f"worker {len(self.processes)}", "services.gateway.jobs.worker", "urgent", "routine")

    def wait_until_ready(self) -> None:
        """Wait until the gateway is ready."""
        deadline = time.monotonic() + _START_S
        while True:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=10).is_success:
                    return
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the product does not start"
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop the workers first, Redis last."""
        for process in reversed(self.processes.values()):
            process.terminate()
            process.wait(70)


@contextmanager
def product_with_fake_networks(sleep_s: float) -> Iterator[FakeProduct]:
    """Run all processes except workers; rnn sleeps `sleep_s` in each request."""
    ports = service_ports()
    with tempfile.TemporaryDirectory() as folder:
        product = FakeProduct(f"http://127.0.0.1:{ports['gateway']}", _environment(Path(folder), ports, sleep_s))
        try:
            product.start("redis", "services.gateway.jobs.redis_server", f"{folder}/redis", f"{folder}/redis.sock")
            for name, application in _APPLICATIONS.items():
                product.start(name, "uvicorn", "--factory", application, "--port", str(ports[name]), "--no-access-log")
            product.wait_until_ready()
            yield product
        finally:
            product.stop()


def _environment(folder: Path, ports: Mapping[str, int], sleep_s: float) -> dict[str, str]:
    addresses = {
        f"ICH_GATEWAY_{name.upper()}_URL": f"http://127.0.0.1:{ports[name]}" for name in ("preprocess", "cnn", "rnn")
    }
    return {
        **os.environ,
        **addresses,
        "ICH_GATEWAY_REDIS_URL": f"unix://{folder}/redis.sock",
        "ICH_GATEWAY_JOBS_DIR": str(folder / "jobs"),
        "ICH_GATEWAY_SPOOL_DIR": str(folder / "spool"),
        _BUNDLE: str(write_bundle(folder / "bundle")),
        _SLEEP_S: str(sleep_s),
    }
