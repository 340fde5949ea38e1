"""Caps on connections per address and in all: at a cap, the connection that waits longest for its client is closed."""

import asyncio
import logging
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol, Self

from services.common.connections.settings import ConnectionSettings

log = logging.getLogger(__name__)
EVICTED: Final = "evicted"
CAUSES: Final = (EVICTED, "refused", "header_timeout", "body_timeout", "unread_response", "bad_request")
CONNECTIONS: Final = "connections"  # names in the lifespan's state, for the server's connections
PROXIES: Final = "proxies"
MAX_DISCARDED_BYTES: Final = 32 * 1024**2  # of bodies whose requests are answered, between two sweeps
_DESCRIPTORS_FOR_FILES: Final = 256  # spool files, connections to the stages and to Redis, a burst of new connections
_MIN_CONNECTIONS: Final = 16
_SWEEP_S: Final = 1.0
_MAX_LINGERING: Final = 64  # refused connections that still get their answer


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Time-outs in seconds, and caps, of connections.

    min_bytes_per_s : the least mean rate of a body and of a response while the client is waited for
    """

    connections: int
    connections_per_address: int
    header_s: float
    body_s: float
    response_s: float
    min_bytes_per_s: int

    @classmethod
    def of(cls, settings: ConnectionSettings) -> Self:
        """As the settings state them; all connections leave descriptors for files."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = max(descriptors - _DESCRIPTORS_FOR_FILES, _MIN_CONNECTIONS)
        return cls(
            min(settings.max_connections, most),
            settings.max_connections_per_address,
            settings.header_timeout_s,
            settings.body_timeout_s,
            settings.response_timeout_s,
            settings.min_bytes_per_s,
        )


class Connection(Protocol):
    """A connection of a client.

    address : the addresses that count as one client
    proxied : whether it comes from a named proxy, which limits its own clients
    """

    address: str
    proxied: bool

    def waits_since(self) -> tuple[int, float] | None:
        """Rank and time in seconds since when the connection waits for its client; None while it is served.

        Rank 0 waits for a whole header, rank 1 for a body or for a client that does not read.
        """

    def abort(self) -> None:
        """Close at once."""

    def enforce_timeouts(self) -> None:
        """Close the connection where the client was too slow."""


class ConnectionTable:
    """All connections of this process, and the number of those that were closed by cause.

    Parameters
    ----------
    limits
        caps and time-outs
    clock
        seconds
    """

    def __init__(self, limits: ConnectionLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.clock = clock
        self.closed: Counter[str] = Counter()
        self.lingering = self.discarded_bytes = 0
        self._by_address: dict[str, set[Connection]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def admit(self, connection: Connection) -> bool:
        """Add a connection; at a cap, evict another one, or return False where all are being served."""
        of_address = self._by_address.get(connection.address, set())
        full = not connection.proxied and len(of_address) >= self.limits.connections_per_address
        if full and not self._evict(of_address):
            return False
        if self._count >= self.limits.connections and not any(map(self._evict, self._fullest())):
            return False
        self._by_address.setdefault(connection.address, set()).add(connection)
        self._count += 1
        return True

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed; one that was not admitted is ignored."""
        of_address = self._by_address.get(connection.address, set())
        if connection in of_address:
            of_address.remove(connection)
            self._count -= 1
        if not of_address:
            self._by_address.pop(connection.address, None)

    def may_linger(self) -> bool:
        """Whether one more refused connection may stay open until its client has read the answer."""
        return self.lingering < _MAX_LINGERING

    def sweep(self) -> None:
        """Enforce the time-outs of every connection."""
        self.discarded_bytes = 0
        for connection in [connection for found in self._by_address.values() for connection in found]:
            try:
                connection.enforce_timeouts()
            except Exception:  # one connection must not end the time-outs of all others
                log.error("a connection's time-outs failed", exc_info=True)
                connection.abort()

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[None]:
        """Sweep every second until the context ends."""
        task = asyncio.create_task(self._sweep_forever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self.sweep()

    def _fullest(self) -> Iterable[set[Connection]]:
        """The connections of each address, those of the address with most first, and those of proxies last."""
        return sorted(self._by_address.values(), key=lambda found: (next(iter(found)).proxied, -len(found)))

    def _evict(self, connections: Iterable[Connection]) -> bool:
        """Close the connection that waits longest; False where none waits."""
        waiting = [(since, connection) for connection in connections if (since := connection.waits_since())]
        if not waiting:
            return False
        _, victim = min(waiting, key=lambda pair: pair[0])
        self.closed[EVICTED] += 1
        self.remove(victim)
        victim.abort()
        return True


def raise_descriptor_limit() -> None:
    """Let this process open as many files as its hard limit allows, up to 65,536."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
