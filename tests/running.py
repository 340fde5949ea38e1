"""All services as `make run` starts them, on ports of their own: for end-to-end tests and benchmarks."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
NAMES = ("gateway", "preprocess", "cnn", "rnn")


@dataclass(frozen=True)
class Service:
    """A running product."""

    url: str
    ports: dict[str, int]
    log: Path
    redis_port: int

    def process(self, name: str) -> int:
        """The process id of a service."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and f"--port\0{self.ports[name]}\0" in _command(entry):
                return int(entry.name)
        raise LookupError(name)

    def ready(self) -> bool:
        """Whether the gateway says that it can work."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False

    def wait_until_ready(self, seconds: float) -> None:
        """Return when it is ready; AssertionError with the log's end where it never is."""
        deadline = time.monotonic() + seconds
        while not self.ready():
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.2)


def _command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_text()
    except OSError:
        return ""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


@contextmanager
def running_service(log: Path) -> Iterator[Service]:
    """Start everything, wait until it is ready, and stop it at the end."""
    *free, redis_port = free_ports(len(NAMES) + 1)
    ports = dict(zip(NAMES, free, strict=True))
    binaries = Path(sys.executable).parent
    settings = {f"{name.upper()}_PORT": str(port) for name, port in {**ports, "redis": redis_port}.items()}
    (ROOT / ".run").mkdir(exist_ok=True)
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [binaries / "supervisord", "-c", ROOT / "supervisord.conf"],
            cwd=ROOT,
            env={**os.environ, **settings, "BIN": str(binaries)},
            stdout=output,
            stderr=output,
        )
        running = Service(f"http://127.0.0.1:{ports['gateway']}", ports, log, redis_port)
        try:
            running.wait_until_ready(120)
            yield running
        finally:
            supervisor.send_signal(signal.SIGTERM)
            supervisor.wait(70)


def cpu_s(process: int) -> float:
    """Processor time that a process and its living descendants have used."""
    try:
        # Behind the command's name, which may hold anything, stand the fields from the third on.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        children = "".join(path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")).split()
    except OSError:
        return 0.0
    ticks = sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK") + sum(cpu_s(int(child)) for child in children)


def resident_bytes(process: int) -> int:
    """Memory that a process holds now."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
