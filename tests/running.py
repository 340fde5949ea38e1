"""All services as `make run` starts them, on free ports, for end-to-end tests and benchmarks."""

import itertools
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import httpx
from redis import Redis

ROOT = Path(__file__).parents[1]
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # a new client reads them for 17 ms, even for http
NAMES = ("gateway", "preprocess", "cnn", "rnn", "node")  # services with HTTP, and settings `ICH_<NAME>_*`
_PORTS: Final = (*NAMES, "dicom")
_FIRST_PORT: Final = 10_000
_LAST_PORT: Final = 32_000  # Linux takes the source ports of connections from 32768 on
_candidates = itertools.cycle(random.sample(range(_FIRST_PORT, _LAST_PORT), _LAST_PORT - _FIRST_PORT))


@dataclass(frozen=True)
class Service:
    """All services of one supervisor."""

    url: str
    ports: dict[str, int]
    log: Path
    supervisor: int

    def process(self, name: str) -> int:
        """The process id of a service."""
        return self.started(f"--port\0{self.ports[name]}\0")

    def worker(self, queues: str) -> int:
        """The process id of the worker for these queues, as its command names them."""
        return self.started("services.gateway.jobs.worker\0" + queues.replace(" ", "\0") + "\0")

    def programs(self) -> dict[str, list[int]]:
        """The process ids of supervisor's living programs, by name; a program may have children of its own."""
        found: dict[str, list[int]] = {}
        for process in children(self.supervisor):
            if command := _command(Path(f"/proc/{process}")):  # a zombie has none
                found.setdefault(_program(command), []).append(process)
        return found

    def redis(self) -> int:
        """The process id of Redis."""
        return self.started(str(self.redis_socket), "redis-server")

    @property
    def redis_socket(self) -> Path:
        """The socket of Redis."""
        return redis_socket(self.ports["gateway"])

    def redis_client(self) -> Redis:
        """A client of the product's Redis."""
        return Redis(unix_socket_path=str(self.redis_socket))

    def started(self, *words: str) -> int:
        """Return the process whose command supervisor started with these words; LookupError without one."""
        for process in children(self.supervisor):
            if all(word in _command(Path(f"/proc/{process}")) for word in words):
                return process
        raise LookupError(" ".join(words).replace("\0", " "))

    @property
    def audit_file(self) -> Path:
        """The audit log, where the caller sets no other."""
        return audit_file(self.ports["gateway"])

    @property
    def jobs_dir(self) -> Path:
        """The folder of the jobs."""
        return jobs_dir(self.ports["gateway"])

    @property
    def node_dir(self) -> Path:
        """The folder of the DICOM node."""
        return node_dir(self.ports["gateway"])

    @property
    def node_url(self) -> str:
        """The address of the DICOM node's HTTP."""
        return f"http://127.0.0.1:{self.ports['node']}"

    @property
    def shared_memory_dir(self) -> Path:
        """The folder of shared memory regions."""
        return Path(f"/dev/shm/ich-{self.ports['gateway']}")  # noqa: S108 - as `make run`

    def ready(self) -> bool:
        """Whether the gateway is ready."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, verify=_NO_AUTHORITIES).is_success
        except httpx.TransportError:
            return False

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the gateway is ready; after the timeout, AssertionError with the end of the log."""
        deadline = time.monotonic() + seconds
        while not self.ready():
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.1)


def jobs_dir(gateway_port: int) -> Path:
    """Return the folder of the jobs under `make run`, by the gateway's port."""
    return ROOT / ".run" / f"jobs-{gateway_port}"


def node_dir(gateway_port: int) -> Path:
    """Return the folder of the DICOM node under `make run`, by the gateway's port."""
    return ROOT / ".run" / f"dicom-node-{gateway_port}"


def audit_file(gateway_port: int) -> Path:
    """Return the audit log under `make run`, by the gateway's port; its head has the suffix `.head`."""
    return ROOT / ".run" / f"audit-{gateway_port}.jsonl"


def redis_socket(gateway_port: int) -> Path:
    """Return the socket of Redis under these tests, in a short folder, by the gateway's port."""
    return Path(f"/tmp/ich-{os.geteuid()}-{gateway_port}/redis.sock")  # noqa: S108 - `make run` puts it there too


def _command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_text()
    except OSError:
        return ""


def _program(command: str) -> str:
    """Return the name of a program by its command: the service, `worker`, or the file that runs."""
    words = command.split("\0")
    module = next((word.partition(":")[0].split(".") for word in words if word.startswith("services.")), None)
    if module is None:
        return Path(command.split(maxsplit=1)[0] if command else "ended").name
    return module[-1] if "jobs" in module else module[1]


def children(process: int) -> list[int]:
    """Return the living child processes of a process; none after its end."""
    try:
        found = "".join(path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children"))
    except OSError:
        return []
    return [int(child) for child in found.split()]


def service_ports() -> dict[str, int]:
    """A free port for each service, and for DICOM."""
    return dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, each once a process; no outgoing connection takes one meanwhile."""
    return list(itertools.islice(filter(_free, _candidates), count))


def _free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextmanager
def running_service(
    log: Path, all_ports: Mapping[str, int] | None = None, more: Mapping[str, str] | None = None, root: Path = ROOT
) -> Iterator[Service]:
    """Start all services of the checkout `root`, wait until they are ready, and stop them at the end.

    Every process gets `more` settings. This checkout's product keeps an audit log, which an earlier one may not know.
    """
    ports = dict(all_ports or service_ports())
    audited = _audited(ports) if root == ROOT else {}
    (root / ".run").mkdir(exist_ok=True)
    with log.open("wb") as output:
        supervisor = _supervisor(root, {**os.environ, **audited, **(more or {}), **_places(ports)}, output)
        running = Service(f"http://127.0.0.1:{ports['gateway']}", ports, log, supervisor.pid)
        try:
            running.wait_until_ready(240)
            yield running
        finally:
            supervisor.send_signal(signal.SIGTERM)
            supervisor.wait(70)
            shutil.rmtree(running.redis_socket.parent, ignore_errors=True)


def _audited(ports: Mapping[str, int]) -> dict[str, str]:
    audit = audit_file(ports["gateway"])
    return {"ICH_GATEWAY_AUDIT_FILE": str(audit), "ICH_GATEWAY_AUDIT_HEAD": str(audit.with_suffix(".head"))}


def _places(ports: Mapping[str, int]) -> dict[str, str]:
    """The variables that supervisord.conf needs."""
    places = {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
    return places | {"REDIS_SOCKET": str(redis_socket(ports["gateway"])), "BIN": str(Path(sys.executable).parent)}


def _supervisor(root: Path, environment: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).parent / "supervisord"), "-c", str(root / "supervisord.conf")]
    return subprocess.Popen(command, cwd=root, env=environment, stdout=output, stderr=output)


def cpu_s(process: int) -> float:
    """Return the processor time of a process and its living descendants, in seconds."""
    try:
        # The third and further fields follow the command's name, which may hold any character.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    ticks = sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK") + sum(map(cpu_s, children(process)))


def resident_bytes(process: int) -> int:
    """Return the resident memory of a process, in bytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def shared_memory_bytes(process: int) -> int:
    """Return the resident shared memory of a process, in bytes; `resident_bytes` holds it too."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.partition("RssShmem:")[2].split()[0])


def pss_bytes(process: int) -> int:
    """Return the proportional set size of a process and its descendants, in bytes: shared memory counts once."""
    return own_pss_bytes(process) + sum(map(pss_bytes, children(process)))


def own_pss_bytes(process: int) -> int:
    """Return the proportional set size of a process alone, in bytes; 0 after its end."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) * 1024
