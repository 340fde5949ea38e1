"""Two gateways and three workers, each with a folder of its own, on one object storage and one Redis.

The programs are those of `make run`, under a supervisor. Each gateway reaches the storage through a proxy.
"""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from configparser import RawConfigParser
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import obstore
from obstore.store import from_url
from redis import Redis

from services.gateway.jobs.object_storage import ObjectStorage
from tests.drill.tcp_proxy import TcpProxy
from tests.object_storage import ObjectServer, running_object_server, server_ports
from tests.running import NAMES, ROOT, children, free_ports

GATEWAYS: Final = (1, 2)
WORKERS: Final = (1, 2, 3)
_READY_S: Final = 240.0
_LEFT_OUT: Final = ("gateway", "dicom-node", "ready", "worker-urgent", "worker-routine")


class AlternatingTransport(httpx.BaseTransport):
    """Sends each request to the next gateway, as a balancer does that knows nothing of their health."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        self._turns = itertools.cycle(ports)
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(port=next(self._turns))
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


@dataclass(frozen=True)
class Cluster:
    """All processes of one supervisor, and their storage.

    ports : of the gateways, by number
    """

    folder: Path
    log: Path
    supervisor: int
    ports: Mapping[int, int]
    proxies: Mapping[int, TcpProxy]
    server: "RestartableServer"
    url: str

    @property
    def storage(self) -> ObjectStorage:
        """The storage of jobs."""
        return ObjectStorage(self.url, self.folder / "drill")

    def client(self, first: int = 1) -> httpx.Client:
        """A client that alternates between the gateways."""
        ports = (self.ports[first], *(port for number, port in self.ports.items() if number != first))
        return httpx.Client(transport=AlternatingTransport(ports), base_url="http://127.0.0.1", timeout=30)

    def gateway(self, number: int) -> int:
        """The process id of a gateway."""
        return self._started(f"--port\0{self.ports[number]}\0")

    def worker(self, number: int) -> int:
        """The process id of a worker."""
        return self._started(f"ICH_GATEWAY_JOBS_DIR={self.folder}/worker-{number}\0", file="environ")

    def redis(self) -> int:
        """The process id of Redis."""
        return self._started("redis-server")

    def _started(self, words: str, file: str = "cmdline") -> int:
        for process in children(self.supervisor):
            with suppress(OSError):
                if words in Path(f"/proc/{process}/{file}").read_text():
                    return process
        raise LookupError(words.replace("\0", " "))

    def redis_client(self) -> Redis:
        """A client of Redis."""
        return Redis(unix_socket_path=str(self.folder / "redis.sock"))

    def holder(self) -> int:
        """The number of the gateway that holds the lease of sweeps; waits until it is a living one."""
        found: list[int] = []

        def look() -> bool:
            leases = [name for name in self.storage.names("gateways") if name.startswith("sweeper.")]
            with suppress(FileNotFoundError, LookupError):
                member = self.storage.get(f"gateways/{leases[-1]}").decode()
                record = self.storage.get(f"gateways/{member}").decode()
                found[:] = [number for number in GATEWAYS if f'"pid": {self.gateway(number)},' in record]
            return bool(found)

        self.wait_for(look, _READY_S, "no gateway holds the lease")
        return found[0]

    def ready(self) -> bool:
        """Whether both gateways are ready, and reach the storage."""
        try:
            return all(
                httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).is_success
                for port in self.ports.values()
                for path in ("/readyz", "/v1/jobs?limit=1")
            )
        except httpx.TransportError:
            return False

    def wait_until_ready(self, seconds: float = _READY_S) -> None:
        """Wait until the cluster is ready; AssertionError with the end of the log after the time."""
        self.wait_for(self.ready, seconds, "the gateways are not ready")

    def wait_for(self, condition: Callable[[], bool], seconds: float, message: str) -> None:
        """Wait for a condition; AssertionError after the time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{message}: {self.log.read_text()[-3000:]}"
            time.sleep(0.1)

    def rest(self) -> list[str]:
        """Objects of jobs in the storage, copies in the folders, and dead gateways, where all jobs were deleted."""
        objects = obstore.list(from_url(self.url, client_options={"allow_http": True})).collect()
        kept = [item["path"] for item in objects if item["path"].startswith(("jobs/", "open/", "receiving/"))]
        members = [name for name in self.storage.names("gateways") if "." not in name]
        copies = [str(path) for path in self.folder.glob("**/fetched/fetched-*")]
        return kept + copies + (members if len(members) != len(GATEWAYS) else [])


class RestartableServer:
    """The object storage, which a drill stops and starts."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._ports = folder, server_ports()
        self._stack = ExitStack()
        self.server = self.start()

    def start(self) -> ObjectServer:
        """Start it with the data that it has."""
        return self._stack.enter_context(running_object_server(self._folder, ports=self._ports))

    def kill(self) -> None:
        """Kill it."""
        self._stack.close()


@contextmanager
def running_cluster(log: Path) -> Iterator[Cluster]:
    """Start everything, wait until it is ready, and stop it at the end."""
    log.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ich-drill-") as name, ExitStack() as stack:
        folder = Path(name)
        for part in ("weed", "redis"):
            (folder / part).mkdir()
        server = RestartableServer(folder / "weed")
        stack.callback(server.kill)
        os.environ.update(server.server.environment)  # for this process' client
        target = int(server.server.endpoint.rpartition(":")[2])
        proxies = {number: stack.enter_context(TcpProxy(target).running()) for number in GATEWAYS}
        ports = dict(zip(GATEWAYS, free_ports(len(GATEWAYS)), strict=True))
        url = server.server.new_url()
        _write_configuration(folder, ports, proxies)
        supervisor = stack.enter_context(_supervised(folder, url, log))
        cluster = Cluster(folder, log, supervisor, ports, proxies, server, url)
        cluster.wait_until_ready()
        yield cluster


@contextmanager
def _supervised(folder: Path, url: str, log: Path) -> Iterator[int]:
    places = {f"{name.upper()}_PORT": str(port) for name, port in zip(NAMES, free_ports(len(NAMES)), strict=True)}
    places |= {"BIN": str(Path(sys.executable).parent), "REDIS_SOCKET": str(folder / "redis.sock"), "DICOM_PORT": "0"}
    environment = {**os.environ, **places, "ICH_GATEWAY_JOBS_URL": url}
    command = [str(Path(sys.executable).parent / "supervisord"), "-c", str(folder / "supervisord.conf")]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


def _write_configuration(folder: Path, ports: Mapping[int, int], proxies: Mapping[int, TcpProxy]) -> None:
    """The programs of `make run`, with two gateways, workers in folders of their own, and no shared memory."""
    text = (ROOT / "supervisord.conf").read_text().replace("%(here)s/.run", str(folder)).replace("%(here)s", str(ROOT))
    found = RawConfigParser(interpolation=None)
    found.read_string(text)
    settings = found["supervisord"]["environment"].split(",")
    found["supervisord"]["environment"] = ",".join(each for each in settings if "SHARED_MEMORY" not in each)
    gateway, worker = found["program:gateway"], found["program:worker-urgent"]
    made = {
        f"gateway-{number}": _program(
            gateway,
            f"%(ENV_BIN)s/python -m services.gateway --port {port}",
            ICH_GATEWAY_SPOOL_DIR=f"{folder}/gateway-{number}/spool",
            ICH_GATEWAY_JOBS_DIR=f"{folder}/gateway-{number}/jobs",
            AWS_ENDPOINT_URL=proxies[number].url,
        )
        for number, port in ports.items()
    }
    made |= {
        f"worker-{number}": _program(
            worker,
            "%(ENV_BIN)s/python -m services.gateway.jobs.worker urgent routine",
            ICH_GATEWAY_JOBS_DIR=f"{folder}/worker-{number}",
        )
        for number in WORKERS
    }
    for name in _LEFT_OUT:
        found.remove_section(f"program:{name}")
    for name, section in made.items():
        found[f"program:{name}"] = section
    with (folder / "supervisord.conf").open("w") as file:
        found.write(file)


def _program(base: Mapping[str, str], command: str, **environment: str) -> dict[str, str]:
    settings = ",".join(f'{name}="{value}"' for name, value in environment.items())
    return {**base, "command": command, "environment": settings}
