"""A server with the gateway's protocol and a clock that a test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import uvicorn
from starlette.types import Receive, Scope, Send

from services.common.connections.client_address import Proxies
from services.common.connections.http_protocol import BoundedProtocol
from services.common.connections.table import CONNECTIONS, PROXIES, ConnectionLimits, ConnectionTable

LIMITS: Final = ConnectionLimits(
    connections=8, connections_per_address=4, header_s=10, body_s=30, response_s=60, min_bytes_per_s=100
)
_LARGE: Final = bytes(1 << 20)


@dataclass
class Application:
    """Answers with the body's length; `/wait` first waits for the event, `/large` has 64 MB, `/stream` no end.

    `/refuse` answers without reading the body.
    """

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    bodies: list[int] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    waiting: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["path"] == "/wait":
            self.waiting += 1
            await self.go_on.wait()
        if scope["path"] == "/stream":
            await self._stream(receive, send)
            return
        length, more = 0, scope["path"] != "/refuse"
        while more:
            message = await receive()
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
            if message["type"] == "http.disconnect":
                return
        self.bodies.append(length)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64 if scope["path"] == "/large" else 0):
            await send({"type": "http.response.body", "body": _LARGE, "more_body": True})
        await send({"type": "http.response.body", "body": str(length).encode()})

    async def _stream(self, receive: Receive, send: Send) -> None:
        """Send until the client is gone."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        disconnect = asyncio.ensure_future(receive())
        while not disconnect.done():
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0.01)
        self.gone.set()


@dataclass
class Server:
    """The running server, its table of connections and the seconds of its clock."""

    port: int
    app: Application
    table: ConnectionTable
    clock: list[float]
    clients: list["Client"] = field(default_factory=list)

    async def connect(self, sent: bytes = b"", address: str = "127.0.0.1") -> "Client":
        """A connection from an address of 127.0.0.0/8, which has sent some bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0), limit=1 << 10)
        client = Client(reader, writer)
        self.clients.append(client)
        await client.send(sent)
        return client

    async def after(self, seconds: float) -> None:
        """Move the clock and enforce the time-outs."""
        await asyncio.sleep(0.05)  # the server reads all that was sent
        self.clock[0] += seconds
        self.table.sweep()


@dataclass
class Client:
    """The client's end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send bytes, and let the server read them."""
        self.writer.write(data)
        await asyncio.sleep(0.02)

    async def answer(self) -> bytes:
        """The bytes until the server closes the connection."""
        async with asyncio.timeout(5):
            return await self.reader.read(-1)

    async def status(self) -> int:
        """The status of the next response."""
        async with asyncio.timeout(5):
            return int((await self.reader.readline()).split()[1])

    async def closed(self) -> bool:
        """Whether the server has closed or reset the connection without an answer."""
        try:
            return await self.answer() == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def serving(proxies: tuple[str, ...] = (), **limits: Any) -> AsyncIterator[Server]:
    """A server with these limits."""
    app, clock = Application(), [1000.0]
    table = ConnectionTable(replace(LIMITS, **limits), lambda: clock[0])

    async def with_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        scope["state"].update({CONNECTIONS: table, PROXIES: Proxies(proxies)})
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})

    config = uvicorn.Config(with_lifespan, port=0, http=BoundedProtocol, ws="none", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    running = Server(server.servers[0].sockets[0].getsockname()[1], app, table, clock)
    try:
        yield running
    finally:
        app.go_on.set()
        for client in running.clients:
            client.writer.transport.abort()
        server.should_exit = server.force_exit = True
        await task
