"""The signing keys of a provider over HTTP and HTTPS, and answers that are none."""

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from services.common.identity.oidc.provider import Provider, ProviderFailed
from tests.common.identity.oidc.provider_server import ProviderServer, serving

pytestmark = pytest.mark.anyio
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with serving() as found:
        yield found


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of `localhost` that no usual authority has signed, and its key."""
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
               "-out", files[0], "-keyout", files[1])  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return files


async def test_keys_are_those_of_the_jwks_uri(server: ProviderServer) -> None:
    (key,) = await Provider(server.url).fetch_keys()
    assert key["kid"] == "one"
    assert server.asked == [DISCOVERY, "/jwks"]


@pytest.mark.parametrize(
    ("path", "status", "content"),
    [
        (DISCOVERY, 404, {}),
        (DISCOVERY, 200, b"<html>"),
        (DISCOVERY, 200, []),
        (DISCOVERY, 200, {"issuer": "https://login.example.org", "jwks_uri": "https://login.example.org/jwks"}),
        (DISCOVERY, 200, {"issuer": "same", "jwks_uri": "http://login.example.org/jwks"}),
        (DISCOVERY, 200, {"issuer": "same", "jwks_uri": "file:///etc/passwd"}),
        (DISCOVERY, 200, {"issuer": "same"}),
        (DISCOVERY, 200, {"issuer": "same", "jwks_uri": ["https://login.example.org/jwks"]}),
        ("/jwks", 302, {}),
        ("/jwks", 500, {"keys": []}),
        ("/jwks", 200, {"keys": "one"}),
        ("/jwks", 200, {"keys": ["one"]}),
        ("/jwks", 200, b" " * (1024**2 + 1)),
        ("/jwks", 200, b"[" * 100_000),
    ],
)
async def test_other_answers_are_a_failure(server: ProviderServer, path: str, status: int, content: Any) -> None:
    if isinstance(content, dict) and content.get("issuer") == "same":
        content = content | {"issuer": server.url}
    server.answers[path] = status, content
    with pytest.raises(ProviderFailed):
        await Provider(server.url).fetch_keys()


async def test_a_provider_that_is_down_is_a_failure() -> None:
    with pytest.raises(ProviderFailed, match=r"ICH_\*_OIDC_ISSUER"):
        await Provider("http://127.0.0.1:9").fetch_keys()


async def test_a_provider_that_answers_byte_by_byte_has_a_deadline() -> None:
    closed = anyio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while await reader.read(1000):  # until the client closes the connection
            writer.write(b"{")
        writer.close()
        closed.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ProviderFailed, match="TimeoutError"):
        await Provider(f"http://127.0.0.1:{port}", deadline_s=0.05).fetch_keys()
    await closed.wait()
    server.close()


async def test_a_private_authority_is_believed_by_its_file_or_by_the_environment(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving(context) as server:
        with pytest.raises(ProviderFailed):
            await Provider(server.url).fetch_keys()
        assert await Provider(server.url, certificate[0]).fetch_keys()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert await Provider(server.url).fetch_keys()
