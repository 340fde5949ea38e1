"""Posts a message to a webhook's receiver. Nothing that a receiver does delays the caller beyond a deadline.

The deadline is for all of it: name lookup, connection, headers that come byte by byte. A body is not read.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import httpx

from services.gateway.jobs.webhook_signature import WebhookMessage

DEADLINE_S: Final = 10.0
_CONNECT_SHARE: Final = 0.2  # of the deadline, for a connection and for its TLS: two addresses fit in
_PORTS: Final = {"https": 443, "http": 80}
Found = list[str] | OSError


class WebhookClient:
    """Posts messages, each over a connection of its own.

    Parameters
    ----------
    deadline_s
        seconds for one message in all
    look_up
        resolves a host and a port, as `socket.getaddrinfo` does
    trust
        the certificates to trust; None: those that httpx trusts
    """

    def __init__(
        self,
        *,
        deadline_s: float = DEADLINE_S,
        look_up: Callable[..., Sequence[Any]] = socket.getaddrinfo,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._resolver = Resolver(look_up)
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(deadline_s, connect=deadline_s * _CONNECT_SHARE, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            verify=trust or True,
            trust_env=False,
            follow_redirects=False,
        )

    async def post(self, address: str, message: WebhookMessage) -> int:
        """The status of the response.

        Raises
        ------
        TimeoutError, httpx.HTTPError, OSError
            the receiver does not answer in time, or not at all; or its name is unknown
        """
        url = httpx.URL(address)
        async with asyncio.timeout(self._deadline_s):
            found = await self._resolver.addresses(url.raw_host.decode(), url.port or _PORTS[url.scheme])
            for ip in found[:-1]:
                with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                    return await self._post_to(url, ip, message)
            return await self._post_to(url, found[-1], message)

    async def _post_to(self, url: httpx.URL, ip: str, message: WebhookMessage) -> int:
        """Post to one address of the host; the certificate must be the host's."""
        target = url.copy_with(host=ip)
        headers = {**message.headers, "host": url.netloc.decode()}
        names = {"sni_hostname": url.raw_host.decode()}
        async with self._client.stream(
            "POST", target, content=message.body, headers=headers, extensions=names
        ) as response:
            return response.status_code

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


class Resolver:
    """Looks names up, each in a thread of its own, and each once at a time.

    asyncio shares a few threads for this: a few hosts with a slow name server would block the names of all others.
    The threads do not delay the end of the process.
    """

    def __init__(self, look_up: Callable[..., Sequence[Any]]) -> None:
        self._look_up = look_up
        self._pending: dict[tuple[str, int], asyncio.Future[Found]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """The host's first address of IPv6, of IPv4, or of both; OSError where it has none."""
        key = host, port
        if key not in self._pending:
            loop = asyncio.get_running_loop()
            self._pending[key] = loop.create_future()
            threading.Thread(target=self._resolve, args=(loop, key), daemon=True).start()
        found = await asyncio.shield(self._pending[key])
        if isinstance(found, OSError):
            raise found
        return found

    def _resolve(self, loop: asyncio.AbstractEventLoop, key: tuple[str, int]) -> None:
        found: Found
        try:
            infos = self._look_up(*key, type=socket.SOCK_STREAM)
            by_family = {info[0]: str(info[4][0]) for info in reversed(infos)}
            found = list(by_family.values())[::-1] or OSError("the host has no address")
        except (OSError, UnicodeError) as error:
            found = error if isinstance(error, OSError) else OSError("the host's name is invalid")
        with suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(self._settle, key, found)

    def _settle(self, key: tuple[str, int], found: Found) -> None:
        future = self._pending.pop(key)
        if not future.done():
            future.set_result(found)
