import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.gateway.jobs.webhook_client import WebhookClient
from services.gateway.jobs.webhook_signature import WebhookMessage
from tests import slow_receiver
from tests.receiver import Receiver, receiving
from tests.running import free_ports

pytestmark = pytest.mark.anyio
MESSAGE = WebhookMessage({"content-type": "application/json"}, b"{}")
DEADLINE_S = 1.0
SLOW = (slow_receiver.silent, slow_receiver.drip, slow_receiver.endless_informational)
FAR_S = 30.0  # far beyond the deadline


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
async def client() -> AsyncIterator[WebhookClient]:
    client = WebhookClient(deadline_s=DEADLINE_S)
    yield client
    await client.close()


async def test_a_message_is_posted_with_the_hosts_name(client: WebhookClient, receiver: Receiver) -> None:
    port = receiver.url.rpartition(":")[2]
    assert await client.post(f"http://localhost:{port}/hook?key=1", MESSAGE) == 204
    (request,) = receiver.received
    assert (request.path, request.body, request.headers["host"]) == ("/hook?key=1", b"{}", f"localhost:{port}")


@pytest.mark.parametrize(
    "answer",
    [slow_receiver.silent, slow_receiver.drip, slow_receiver.endless_informational],
    ids=lambda one: one.__name__,
)
async def test_a_slow_answer_ends_at_the_deadline(client: WebhookClient, answer: slow_receiver.Answer) -> None:
    with slow_receiver.serving(answer) as url:
        begin = time.monotonic()
        with pytest.raises((TimeoutError, httpx.HTTPError)):
            await client.post(f"{url}/", MESSAGE)
        assert DEADLINE_S / 2 < time.monotonic() - begin < FAR_S


async def test_endless_headers_are_cut_off(client: WebhookClient) -> None:
    with slow_receiver.serving(slow_receiver.endless_headers) as url, pytest.raises(httpx.RemoteProtocolError):
        await client.post(f"{url}/", MESSAGE)


@pytest.mark.parametrize("answer", [slow_receiver.drip_body, slow_receiver.endless_body], ids=lambda one: one.__name__)
async def test_a_body_is_not_read(answer: slow_receiver.Answer) -> None:
    client = WebhookClient(deadline_s=FAR_S)
    with slow_receiver.serving(answer) as url:
        begin = time.monotonic()
        assert await client.post(f"{url}/", MESSAGE) == 200
        assert time.monotonic() - begin < FAR_S
    await client.close()


async def test_a_tls_handshake_that_never_ends_ends_at_the_deadline(client: WebhookClient) -> None:
    with slow_receiver.serving(slow_receiver.silent) as url, pytest.raises((TimeoutError, httpx.HTTPError)):
        await client.post(url.replace("http:", "https:") + "/", MESSAGE)


async def test_a_name_that_is_looked_up_for_ever_delays_no_other(receiver: Receiver) -> None:
    """A few such names fill the threads that asyncio shares for look-ups."""
    hanging, threads = threading.Event(), threading.active_count()

    def look_up(host: str, port: int, **more: Any) -> Sequence[Any]:
        if host.startswith("slow"):
            hanging.wait()
        return socket.getaddrinfo("127.0.0.1", port, **more)

    client = WebhookClient(deadline_s=DEADLINE_S, look_up=look_up)
    port = receiver.url.rpartition(":")[2]
    slow = [client.post(f"http://slow-{number % 50}.example:{port}/", MESSAGE) for number in range(100)]
    *late, status = await asyncio.gather(
        *slow, client.post(f"http://fast.example:{port}/", MESSAGE), return_exceptions=True
    )
    assert status == 204
    assert all(isinstance(one, TimeoutError) for one in late)
    assert threading.active_count() <= threads + 51, "one thread for each name"
    hanging.set()
    await client.close()


async def test_an_address_of_the_other_family_is_tried(receiver: Receiver) -> None:
    port = int(receiver.url.rpartition(":")[2])

    def look_up(*_: Any, **__: Any) -> Sequence[Any]:
        found = ((socket.AF_INET6, "127.0.0.9"), (socket.AF_INET6, "127.0.0.8"), (socket.AF_INET, "127.0.0.1"))
        return [(family, 0, 0, "", (host, port)) for family, host in found]

    client = WebhookClient(look_up=look_up)
    assert await client.post(f"http://two.example:{port}/", MESSAGE) == 204
    await client.close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".example"])
async def test_an_unknown_name_is_an_error(client: WebhookClient, host: str) -> None:
    with pytest.raises((OSError, httpx.HTTPError)):
        await client.post(f"http://{host}/", MESSAGE)


async def test_a_host_without_a_server_is_an_error(client: WebhookClient) -> None:
    (port,) = free_ports(1)
    with pytest.raises(httpx.ConnectError):
        await client.post(f"http://127.0.0.1:{port}/", MESSAGE)


def _certificate(folder: Path, name: str) -> Path:
    """A file with a key and a certificate of a host that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return file


@pytest.mark.parametrize(("name", "accepted"), [("localhost", True), ("another.example", False)])
async def test_the_certificate_must_be_that_of_the_host(tmp_path: Path, name: str, *, accepted: bool) -> None:
    """The connection is to an IP address, which a certificate does not name."""
    file = _certificate(tmp_path, name)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = WebhookClient(trust=ssl.create_default_context(cafile=str(file)))
    with receiving(server) as receiver:
        address = receiver.url.replace("127.0.0.1", "localhost")
        if accepted:
            assert await client.post(f"{address}/", MESSAGE) == 204
        else:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.post(f"{address}/", MESSAGE)
        assert len(receiver.received) == accepted
    await client.close()
