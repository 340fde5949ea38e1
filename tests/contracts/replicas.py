"""Replicas of cnn as processes, and two ways that platforms spread connections over them."""

import asyncio
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.running import ROOT, free_ports

_START_S = 60


@dataclass(frozen=True)
class Replica:
    """A process of cnn with a fake network, which waits while `hold` exists."""

    port: int
    process: subprocess.Popen[bytes]
    hold: Path

    async def metric(self, name: str) -> float:
        """A sample of its metrics."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"http://127.0.0.1:{self.port}/metrics")).text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def slices(self) -> float:
        """Slices that it has answered."""
        return await self.metric("ich_slices_total")

    async def refuses(self) -> bool:
        """Whether its port takes no connections."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return True
        writer.close()
        return False

    async def until_held(self) -> None:
        """Wait until it has slices in hand."""
        await until(lambda: self.metric("ich_cnn_held_slices"))


async def until(asked: Callable[[], Awaitable[object]]) -> None:
    """Wait until the awaited result is true."""
    async with asyncio.timeout(_START_S):
        while not await asked():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.02)


@contextmanager
def running_replicas(bundle: Path, folder: Path, count: int) -> Iterator[list[Replica]]:
    """Replicas of a bundle, ready; all are killed at the end."""
    replicas = [_start(bundle, port, folder) for port in free_ports(count)]
    try:
        for replica in replicas:
            _wait_until_ready(replica)
        yield replicas
    finally:
        for replica in replicas:
            replica.process.kill()
            replica.process.wait()


def _start(bundle: Path, port: int, folder: Path) -> Replica:
    hold = folder / f"hold-{port}"
    more = {"FAKE_BUNDLE": str(bundle), "FAKE_HOLD": str(hold), "ICH_CNN_DRAIN_S": "0.1"}
    command = [sys.executable, "-m", "uvicorn", "--factory", "tests.contracts.replica_app:create"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--no-access-log"],
        cwd=ROOT,
        env={**os.environ, **more},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return Replica(port, process, hold)


def _wait_until_ready(replica: Replica) -> None:
    deadline = time.monotonic() + _START_S
    with httpx.Client() as client:
        while True:
            with suppress(httpx.TransportError):
                if client.get(f"http://127.0.0.1:{replica.port}/v2/health/ready").is_success:
                    return
            assert replica.process.poll() is None, "a replica did not start"
            assert time.monotonic() < deadline, "a replica is not ready"
            time.sleep(0.05)


class Nat(httpx.AsyncBaseTransport):
    """Each new connection goes to a random endpoint, as with kube-proxy's rules: a dead one refuses it.

    ports : of the endpoints; a test may change them
    """

    def __init__(self, ports: list[int], seed: int = 1) -> None:
        self.ports = ports
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["connection"] == "close"  # one request is one connection
        request.url = request.url.copy_with(host="127.0.0.1", port=self._random.choice(self.ports))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Proxy:
    """A proxy of connections: each goes to the endpoint with the fewest, or to the next one where that is dead.

    ports : of the endpoints; a test may change them
    """

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.port = 0
        self._open = Counter[int]()
        self._given = Counter[int]()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        """Serve until the context ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in sorted(self.ports, key=lambda port: (self._open[port], self._given[port])):
            with suppress(OSError, asyncio.CancelledError):  # cancelled where the test ends
                back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)
                self._given[port] += 1
                self._open[port] += 1
                try:
                    await _join((reader, back_writer), (back_reader, writer))
                finally:
                    self._open[port] -= 1
                return
        writer.transport.abort()


async def _join(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Copy both ways; the end or the failure of one ends both connections."""
    copies = [asyncio.ensure_future(_copy(*way)) for way in ways]
    await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    for copy, (_, writer) in zip(copies, ways, strict=True):
        copy.cancel()
        writer.close()
    await asyncio.gather(*copies, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
