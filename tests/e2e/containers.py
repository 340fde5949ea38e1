"""The running Compose project, for end-to-end tests. `COMPOSE` holds the command."""

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.running import ROOT, free_ports

ENGINE = "docker" if shutil.which("dockerd") else "podman"


@dataclass(frozen=True)
class Containers:
    """The running Compose project."""

    command: list[str]
    url: str
    tls_url: str
    node_url: str
    dicom_port: int

    def compose(self, *arguments: str) -> str:
        """Output of a Compose command."""
        return run([*self.command, *arguments])

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a service's container."""
        return subprocess.run(
            [ENGINE, "exec", self.name(service), *command], capture_output=True, text=True, check=False
        )

    def process(self, service: str) -> int:
        """Process id, on the host, of the first process of a container."""
        (found,) = json.loads(run([ENGINE, "inspect", self.name(service)]))
        return int(found["State"]["Pid"])

    def ready(self) -> bool:
        """Whether the gateway reports readiness."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False

    def wait_until_ready(self, seconds: float) -> float:
        """Seconds until the gateway is ready; AssertionError with the end of the logs after the time-out."""
        begin = time.monotonic()
        while not self.ready():
            assert time.monotonic() < begin + seconds, self.compose("logs")[-4000:]
            time.sleep(0.3)
        return time.monotonic() - begin

    def name(self, service: str) -> str:
        """The name of a service's container."""
        names = run([ENGINE, "ps", "--format", "{{.Names}}"]).split()
        return next(name for name in names if f"_{service}_" in f"_{name}_".replace("-", "_"))


def run(command: list[str]) -> str:
    """Output of a command; AssertionError with its last words where it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@contextmanager
def running_containers() -> Iterator[Containers]:
    """Build and start all containers on free ports, and remove them with their volumes at the end."""
    port, tls_port, node_port, dicom_port = free_ports(4)
    os.environ |= {"ICH_PORT": str(port), "ICH_TLS_PORT": str(tls_port), "COMPOSE_PROFILES": "dicom"}
    os.environ |= {"ICH_DICOM_HTTP_PORT": str(node_port), "ICH_DICOM_PORT": str(dicom_port)}
    urls = f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls_port}", f"http://127.0.0.1:{node_port}"
    running = Containers(shlex.split(os.environ["COMPOSE"]), *urls, dicom_port)
    begin = time.monotonic()
    try:
        running.compose("up", "--build", "-d")
        built = time.monotonic() - begin
        started = running.wait_until_ready(120)
        print(f"\nbuilt and started in {built:.0f} s, ready {started:.0f} s later")
        yield running
    finally:
        subprocess.run([*running.command, "down", "-v"], cwd=ROOT, capture_output=True, check=False)
