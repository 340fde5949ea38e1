from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from services.common.connections.client_address import ClientAddressMiddleware, Proxies, address_group, parse_address

pytestmark = pytest.mark.anyio
PROXIES = Proxies(("10.0.0.1", "10.1.0.0/16", "fd00::/8"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1:4711 ", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", None),
        ("_hidden", None),
        ("192.0.2.999", None),
        ("", None),
        ("[", None),
        ("٣.1.1.1", None),
    ],
)
def test_addresses_are_read_with_and_without_ports(text: str, address: str | None) -> None:
    assert (str(parse_address(text)) if parse_address(text) else None) == address


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        (None, "unknown"),
    ],
)
def test_a_network_of_ipv6_is_one_client(host: str | None, group: str) -> None:
    assert address_group(host) == group


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        ("10.0.0.1", ["10.1.2.3"], "10.1.2.3"),
        ("10.0.0.1", ["203.0.113.9, garbage"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, garbage, 10.1.2.3"], "10.1.2.3"),
        ("10.0.0.1", [","], "10.0.0.1"),
        ("fd00::5", ["[2001:db8::1]:80"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["198.51.100.1:99"], "198.51.100.1"),
        ("unknown", ["198.51.100.1"], "unknown"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_proxy(peer: str, forwarded: list[str], client: str) -> None:
    assert PROXIES.client(peer, forwarded) == client


def test_without_named_proxies_nobody_is_believed() -> None:
    assert Proxies().client("127.0.0.1", ["198.51.100.1"]) == "127.0.0.1"


@pytest.mark.parametrize("network", ["nginx", "10.0.0.1/8", "", "*"])
def test_a_proxy_is_an_address_or_a_network(network: str) -> None:
    with pytest.raises(ValueError, match=r"IPv4 or IPv6 network|host bits"):
        Proxies((network,))


async def _scope(peer: str, **headers: str) -> Scope:
    seen: list[Scope] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        seen.append(scope)

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": pairs}
    await ClientAddressMiddleware(app, PROXIES)(scope, None, None)  # type: ignore[arg-type] # neither is called
    return seen[0]


async def test_the_scope_has_the_clients_address_and_scheme() -> None:
    scope = await _scope("10.0.0.1", x_forwarded_for="198.51.100.1", x_forwarded_proto="https")
    assert (scope["client"][0], scope["scheme"]) == ("198.51.100.1", "https")
    scope = await _scope("10.0.0.1", x_forwarded_for="198.51.100.1", x_forwarded_proto="gopher")
    assert scope["scheme"] == "http"
    scope = await _scope("127.0.0.1", x_forwarded_for="198.51.100.1", x_forwarded_proto="https")
    assert (scope["client"], scope["scheme"]) == (("127.0.0.1", 1), "http")
