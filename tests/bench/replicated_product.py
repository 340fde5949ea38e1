"""The product as single processes, with any number of cnn replicas behind one port."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from tests.running import ROOT, cpu_s, free_ports, service_ports

_START_S: Final = 240
_STOP_S: Final = 70


@dataclass
class ReplicatedProduct:
    """Running processes by name. Without `cnn_ports`, the kernel gives each connection to a replica, by a hash."""

    ports: Mapping[str, int]
    folder: Path
    cnn_ports: Sequence[int] = ()  # of the replicas, where a balancer has the port of cnn
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address of the gateway."""
        return f"http://127.0.0.1:{self.ports['gateway']}"

    def start(self, name: str, *command: str, listening: socket.socket | None = None) -> None:
        """Start a Python module as a process."""
        with (self.folder / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=self._environment(),
                stdout=log,
                stderr=log,
                pass_fds=[listening.fileno()] if listening else [],
            )

    def start_service(self, name: str) -> None:
        """Start preprocess, rnn or the gateway at its port."""
        self.start(name, "uvicorn", "--factory", f"services.{name}.app:create", "--port", str(self.ports[name]))

    def start_cnn(self, number: int) -> None:
        """Start a replica at its own port, or at the port of cnn, whose connections the kernel spreads."""
        port = self.cnn_ports[number] if self.cnn_ports else self.ports["cnn"]
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.bind(("127.0.0.1", port))
            command = ("uvicorn", "--factory", "services.cnn.app:create", "--fd", str(listening.fileno()))
            self.start(f"cnn {number}", *command, listening=listening)

    def cpu_s(self) -> dict[str, float]:
        """Processor time of each part so far; replicas and workers are added up."""
        found: dict[str, float] = {}
        for name, process in self.processes.items():
            part = name.split()[0]
            found[part] = found.get(part, 0.0) + cpu_s(process.pid)
        return found

    def wait_until_ready(self) -> None:
        """Wait until the gateway is ready and no replica has ended."""
        deadline = time.monotonic() + _START_S
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=30).is_success:
                    return
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not ended, f"{ended} ended: {(self.folder / 'log').read_text()[-3000:]}"
            assert time.monotonic() < deadline, "the product does not start"
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop the workers first, Redis last."""
        for process in reversed(self.processes.values()):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            process.kill()
            process.wait()

    def _environment(self) -> dict[str, str]:
        urls = {
            f"ICH_GATEWAY_{name.upper()}_URL": f"http://127.0.0.1:{self.ports[name]}"
            for name in ("preprocess", "cnn", "rnn")
        }
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("ICH_")},
            **urls,
            "UVICORN_NO_ACCESS_LOG": "1",
            "ICH_CNN_ENGINE_CACHE": str(ROOT / ".run" / "engines"),
            "ICH_RNN_ENGINE_CACHE": str(ROOT / ".run" / "engines"),
            "ICH_GATEWAY_REDIS_URL": f"unix://{self.folder}/redis.sock",
            "ICH_GATEWAY_JOBS_DIR": str(self.folder / "jobs"),
            "ICH_GATEWAY_SPOOL_DIR": str(self.folder / "spool"),
        }


@contextmanager
def replicated_product(cnn: int, workers: int = 2, *, own_ports: bool = False) -> Iterator[ReplicatedProduct]:
    """Run all processes, with so many replicas of cnn and workers; slices travel in HTTP bodies.

    Parameters
    ----------
    own_ports : of the replicas; the caller puts a balancer at the port of cnn, and waits until the product is ready
    """
    with tempfile.TemporaryDirectory() as folder:
        product = ReplicatedProduct(service_ports(), Path(folder), free_ports(cnn) if own_ports else ())
        try:
            product.start("redis", "services.gateway.jobs.redis_server", f"{folder}/redis", f"{folder}/redis.sock")
            for number in range(cnn):
                product.start_cnn(number)
            for name in ("preprocess", "rnn", "gateway"):
                product.start_service(name)
            if not own_ports:
                product.wait_until_ready()
            for number in range(workers):
                product.start(f"worker {number}", "services.gateway.jobs.worker", "urgent", "routine")
            yield product
        finally:
            product.stop()
