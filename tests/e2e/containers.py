"""The running Compose project, for end-to-end tests. `COMPOSE` holds the command."""

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from tests.running import ROOT, free_ports

_PORTS: Final = (
    *("ICH_PORT", "ICH_TLS_PORT", "ICH_DICOM_PORT", "ICH_DICOM_HTTP_PORT"),
    *("ICH_PACS_HTTP_PORT", "ICH_PACS_DICOM_PORT"),
)
ENGINE = "docker" if shutil.which("dockerd") else "podman"


@dataclass(frozen=True)
class Containers:
    """The running Compose project."""

    command: list[str]
    url: str
    tls_url: str
    node_url: str
    dicom_port: int
    ports: Mapping[str, int]

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
def running_containers(profile: str = "dicom") -> Iterator[Containers]:
    """Build and start all containers of a profile on free ports, and remove them with their volumes at the end."""
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    os.environ |= {name: str(port) for name, port in ports.items()} | {"COMPOSE_PROFILES": profile}
    plain, tls, node = (ports[name] for name in ("ICH_PORT", "ICH_TLS_PORT", "ICH_DICOM_HTTP_PORT"))
    urls = f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}", f"http://127.0.0.1:{node}"
    running = Containers(shlex.split(os.environ["COMPOSE"]), *urls, ports["ICH_DICOM_PORT"], ports)
    begin = time.monotonic()
    try:
        running.compose("up", "--build", "-d")
        built = time.monotonic() - begin
        started = running.wait_until_ready(120)
        print(f"\nbuilt and started in {built:.0f} s, ready {started:.0f} s later")
        yield running
    finally:
        subprocess.run([*running.command, "down", "-v"], cwd=ROOT, capture_output=True, check=False)
