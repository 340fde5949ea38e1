"""The proxy of Compose: what it forwards, refuses and closes. Attacks come from this machine alone."""

import json
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.drill.sender import parts, series_uids
from tests.e2e.containers import Containers

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

HALF_OPEN: Final = 1100
PER_ADDRESS: Final = 256  # `limit_conn` of nginx.conf
HEADER_S: Final = 10.0  # `client_header_timeout`
# Another address than this machine's: the gateway's container, which reaches the proxy too.
_NEIGHBOUR: Final = """
import json, ssl, time, urllib.request
context = ssl._create_unverified_context()
seconds = []
for _ in range(20):
    begin = time.monotonic()
    urllib.request.urlopen("https://proxy:8443/livez", timeout=5, context=context).read()
    seconds.append(time.monotonic() - begin)
print(json.dumps(max(seconds)))
"""


@pytest.fixture
def client(containers: Containers) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=containers.url, timeout=60) as found:
        yield found


def _address(url: str) -> tuple[str, int]:
    parsed = httpx.URL(url)
    return parsed.host, parsed.port or 0


def _ask(url: str, request: bytes) -> bytes:
    """The response to bytes on a connection of their own, until it is closed."""
    with socket.create_connection(_address(url), timeout=30) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def _job(client: httpx.Client, series: int, slices: int) -> str:
    accepted = client.post("/v1/jobs", files=list(parts(series_uids(series), slices)))
    assert accepted.status_code == 202, accepted.text
    return accepted.headers["location"]


def test_tls_has_a_certificate_for_this_machine_and_no_hsts_while_it_is_self_signed(containers: Containers) -> None:
    certificate = containers.inside("proxy", "cat", "/tls/certificate.pem").stdout
    context = ssl.create_default_context(cadata=certificate)
    answer = httpx.get(f"{containers.tls_url}/readyz", verify=context)
    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers
    assert answer.headers["server"] == "nginx"  # without its version


def test_old_versions_of_tls_are_refused(containers: Containers) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(_address(containers.tls_url), timeout=10) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)


def test_plain_http_on_the_tls_port_is_a_problem(containers: Containers) -> None:
    answer = httpx.get(containers.tls_url.replace("https", "http"))
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


def test_the_proxy_is_not_root_and_writes_nothing(containers: Containers) -> None:
    assert containers.inside("proxy", "id", "-u").stdout.strip() == "101"
    assert containers.inside("proxy", "touch", "/x").returncode != 0
    assert containers.inside("proxy", "touch", "/tls/x").returncode != 0
    assert containers.inside("proxy", "ls", "/secrets").returncode != 0


def test_the_page_over_tls_may_send_and_another_origin_may_not(containers: Containers) -> None:
    with httpx.Client(base_url=containers.tls_url, verify=False) as client:  # noqa: S501 - self-signed
        own = client.post("/v1/predictions", headers={"origin": containers.tls_url})
        assert (own.status_code, own.json()["code"]) == (415, "unsupported_media")  # an upload without a form
        foreign = client.post("/v1/predictions", headers={"origin": "https://evil.example.org"})
        assert (foreign.status_code, foreign.json()["code"]) == (403, "cross_origin")


def test_the_audit_log_has_the_clients_address_whatever_the_client_claims(
    containers: Containers, client: httpx.Client
) -> None:
    claimed = {"x-forwarded-for": "192.0.2.99", "forwarded": "for=192.0.2.99", "x-real-ip": "192.0.2.99"}
    asked = client.get("/v1/jobs/0123456789abcdef", headers=claimed)
    assert asked.status_code == 404
    log = containers.inside("gateway", "cat", "/audit/audit.jsonl").stdout
    lines = [json.loads(line) for line in log.splitlines() if asked.headers["x-request-id"] in line]
    assert lines, log[-1000:]
    addresses = {line["address"] for line in lines}
    assert not any(address.startswith("192.0.2.") for address in addresses)
    proxies = json.loads(containers.inside("gateway", "printenv", "ICH_GATEWAY_PROXIES").stdout)
    assert not addresses & set(proxies), "the address is the proxy's own"


def test_a_foreign_host_is_refused_through_the_proxy(client: httpx.Client) -> None:
    answer = client.get("/v1/jobs", headers={"host": "evil.example.org"})
    assert (answer.status_code, answer.json()["code"]) == (421, "unknown_host")


@pytest.mark.parametrize(("path", "mebibytes"), [("/v1/predictions", 1100), ("/v1/jobs", 17000), ("/v1/models", 2)])
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(
    containers: Containers, path: str, mebibytes: int
) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {mebibytes * 1024**2}\r\nConnection: close\r\n\r\n"
    )
    status, _, rest = _ask(containers.url, head.encode()).partition(b"\r\n")
    assert status.split()[1] == b"413"
    assert json.loads(rest.partition(b"\r\n\r\n")[2])["code"] == "too_large"


def test_an_early_refusal_reaches_the_sender_of_a_large_body(client: httpx.Client) -> None:
    """The gateway refuses the content type and reads no body; nginx must not turn that into 502."""
    for _ in range(3):
        answer = client.post("/v1/predictions", content=bytes(50 << 20), headers={"content-type": "text/plain"})
        assert answer.status_code in (400, 415), answer.text


def test_events_are_not_buffered(client: httpx.Client) -> None:
    """The first event of a job arrives while the job runs, not at its end."""
    location = _job(client, series=6, slices=6)
    arrived: list[tuple[str, Any]] = []
    with client.stream("GET", f"{location}/events") as response:
        for line in response.iter_lines():
            if line.startswith("data:"):
                ended = client.get(location).json()["ended"]
                arrived.append((json.loads(line.removeprefix("data:"))["status"], ended))
    assert arrived[0][1] is None, arrived
    assert arrived[-1][0] == "finished"
    assert len(arrived) > 2, arrived


def test_half_open_requests_are_capped_and_closed_and_others_are_served(containers: Containers) -> None:
    with ExitStack() as stack:
        begin = time.monotonic()
        half_open = [stack.enter_context(socket.create_connection(_address(containers.url))) for _ in range(HALF_OPEN)]
        for connection in half_open:
            try:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            except (ConnectionResetError, BrokenPipeError):
                continue
        slowest = containers.inside("gateway", "python", "-c", _NEIGHBOUR)
        assert slowest.returncode == 0, slowest.stderr
        assert float(slowest.stdout) < 0.5
        print(f"\n{HALF_OPEN} half-open requests: another address waited {float(slowest.stdout):.3f} s for /livez")
        assert sum(map(_is_open, half_open)) <= PER_ADDRESS
        time.sleep(max(0.0, begin + HEADER_S + 5 - time.monotonic()))
        assert sum(map(_is_open, half_open)) == 0
    assert containers.ready()


def _is_open(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_many_listeners_of_events_leave_the_service_to_others(containers: Containers, client: httpx.Client) -> None:
    location = _job(client, series=6, slices=6)
    request = f"GET {location}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(600):
            connection = stack.enter_context(socket.create_connection(_address(containers.url)))
            try:
                connection.sendall(request)
            except (ConnectionResetError, BrokenPipeError):
                continue
        slowest = containers.inside("gateway", "python", "-c", _NEIGHBOUR)
        assert slowest.returncode == 0, slowest.stderr
        assert float(slowest.stdout) < 0.5
        print(f"\n600 listeners: another address waited {float(slowest.stdout):.3f} s for /livez")


def test_a_flood_of_requests_gets_429_as_a_problem(containers: Containers) -> None:
    with ThreadPoolExecutor(8) as pool, httpx.Client(base_url=containers.url) as flooder:
        answers = pool.map(lambda _: flooder.get("/livez"), range(20_000))
        refused = next(answer for answer in answers if answer.status_code != 200)
        pool.shutdown(cancel_futures=True)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["retry-after"] == "1"


def test_redis_asks_for_its_password(containers: Containers) -> None:
    program = "import redis; redis.Redis('redis').ping()"
    refused = containers.inside("worker", "python", "-c", program)
    assert "AuthenticationError" in refused.stderr, refused.stderr
    password = containers.inside("worker", "cat", "/secrets/redis-password").stdout
    allowed = f"import redis; redis.Redis('redis', password={password!r}).ping()"
    assert containers.inside("worker", "python", "-c", allowed).returncode == 0
    command = Path(f"/proc/{containers.process('redis')}/cmdline").read_text()
    assert password not in command


def test_without_keys_the_gateway_refuses_to_be_published_to_other_machines(containers: Containers) -> None:
    start = ("env", "ICH_GATEWAY_PUBLISHED_HOST=0.0.0.0", "python", "-m", "services.gateway", "--port", "8009")
    refused = containers.inside("gateway", *start)
    assert refused.returncode != 0
    assert "ICH_GATEWAY_SENDERS_FILE" in refused.stderr
