"""The address of a request's client: the connection's, or the one that a named proxy forwards."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_SITE_BITS: Final = 64  # a host may choose the lower half of its IPv6 address freely (RFC 4291, section 2.5.1)
_SCHEMES: Final = ("http", "https")
_PEER: Final = "ich.peer"


def parse_address(text: str) -> Address | None:
    """An address, with or without a port; None for anything else. An IPv4-mapped IPv6 address is the IPv4 address."""
    host = text.strip().partition("%")[0]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def address_group(host: str | None) -> str:
    """The addresses that count as one client: an IPv4 address, or a /64 network of IPv6."""
    address = parse_address(host or "")
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), _SITE_BITS), strict=False))
    return str(address or host or "unknown")


class Proxies:
    """The proxies whose `X-Forwarded-For` is believed.

    Parameters
    ----------
    networks
        addresses and networks, such as `10.0.0.7` and `fd00::/8`

    Raises
    ------
    ValueError
        a text is neither an address nor a network
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks: tuple[Network, ...] = tuple(ip_network(network) for network in networks)

    def __contains__(self, host: object) -> bool:
        address = parse_address(host) if isinstance(host, str) else None
        return address is not None and any(address in network for network in self._networks)

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """The nearest address that is no named proxy, from the peer of the connection outwards.

        Text that is no address ends the search: the proxy that forwarded it is the client.

        Parameters
        ----------
        peer
            address of the connection
        forwarded
            the values of all `X-Forwarded-For` headers, in their order
        """
        client = peer
        for item in reversed(",".join(forwarded).split(",")):
            if client not in self:
                break
            address = parse_address(item)
            if address is None:
                break
            client = str(address)
        return client


def peer_of(scope: Scope) -> str:
    """The address of the connection itself, also behind ClientAddressMiddleware."""
    peer: str = scope.get(_PEER) or (scope.get("client") or ("",))[0]
    return peer


class ClientAddressMiddleware:
    """Sets the scope's client, and its scheme, to those that a named proxy forwards."""

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = (scope.get("client") or ("", 0))[0]
        scope[_PEER] = peer
        if scope["type"] == "http" and peer in self._proxies:
            headers = Headers(scope=scope)
            scope["client"] = (self._proxies.client(peer, headers.getlist("x-forwarded-for")), 0)
            scheme = headers.get("x-forwarded-proto", "").strip().lower()
            scope["scheme"] = scheme if scheme in _SCHEMES else scope["scheme"]
        await self._app(scope, receive, send)
