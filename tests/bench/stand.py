"""Jobs on a product whose networks are fakes: what is measured here is the batch, not TensorFlow."""

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

_BUNDLE: Final = "STAND_BUNDLE"
_SLEEP_S: Final = "STAND_SLEEP_S"
_START_S: Final = 120
_APPLICATIONS: Final = {
    "gateway": "services.gateway.app:create",
    "preprocess": "services.preprocess.app:create",
    "cnn": "tests.bench.stand:cnn",
    "rnn": "tests.bench.stand:rnn",
}


class SleepyScorer(FeatureScorer):
    """Takes its time and no processor."""

    def score(
        self, features: NDArray[np.float32], position_mm: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        time.sleep(float(os.environ[_SLEEP_S]))
        return super().score(features, position_mm)


def cnn() -> FastAPI:
    """For uvicorn."""
    return create_cnn(MeanExtractor(), open_bundle(Path(os.environ[_BUNDLE])), CnnSettings())


def rnn() -> FastAPI:
    """For uvicorn; answers several at once."""
    return create_rnn(SleepyScorer(), open_bundle(Path(os.environ[_BUNDLE])), RnnSettings(threads=8))


@dataclass
class Stand:
    """What is running, by name; workers are added one by one."""

    url: str
    environment: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """A process of this Python."""
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def add_worker(self) -> None:
        """One more."""
        self.start(f"worker {len(self.processes)}", "services.gateway.jobs.worker", "urgent", "routine")

    def wait_until_ready(self) -> None:
        """Until the gateway answers that all stages do."""
        deadline = time.monotonic() + _START_S
        while True:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=10).is_success:
                    return
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the stand does not start"
            time.sleep(0.2)

    def stop(self) -> None:
        """Workers first, Redis last."""
        for process in reversed(self.processes.values()):
            process.terminate()
            process.wait(70)


@contextmanager
def standing(sleep_s: float) -> Iterator[Stand]:
    """Everything but workers, with an rnn that sleeps so long over each request."""
    ports = service_ports()
    with tempfile.TemporaryDirectory() as folder:
        stand = Stand(f"http://127.0.0.1:{ports['gateway']}", _environment(Path(folder), ports, sleep_s))
        try:
            stand.start("redis", "services.gateway.jobs.redis_server", f"{folder}/redis", str(ports["redis"]))
            for name, application in _APPLICATIONS.items():
                stand.start(name, "uvicorn", "--factory", application, "--port", str(ports[name]), "--no-access-log")
            stand.wait_until_ready()
            yield stand
        finally:
            stand.stop()


def _environment(folder: Path, ports: Mapping[str, int], sleep_s: float) -> dict[str, str]:
    addresses = {
        f"ICH_GATEWAY_{name.upper()}_URL": f"http://127.0.0.1:{ports[name]}" for name in ("preprocess", "cnn", "rnn")
    }
    return {
        **os.environ,
        **addresses,
        "ICH_GATEWAY_REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
        "ICH_GATEWAY_JOBS_DIR": str(folder / "jobs"),
        "ICH_GATEWAY_SPOOL_DIR": str(folder / "spool"),
        _BUNDLE: str(write_bundle(folder / "bundle")),
        _SLEEP_S: str(sleep_s),
    }
