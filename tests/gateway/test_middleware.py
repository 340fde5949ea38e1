from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from services.gateway.app import create_app
from services.gateway.settings import Settings
from services.gateway.stage_client import Stages, connect

pytestmark = pytest.mark.anyio
ORIGIN = "https://viewer.example.org"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def gateway(folder: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway without stages."""
    stages = {name: connect(name, "http://127.0.0.1:9", 0.2, 0.2) for name in ("preprocess", "cnn", "rnn")}
    app = create_app(Stages(**stages), Settings(spool_dir=folder / "spool", jobs_dir=folder / "jobs", **settings))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):
        yield client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway(tmp_path) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/none", "/v1/models", "/v1/predictions", "/v1/jobs?limit=x"])
async def test_responses_of_the_api_are_never_cached(client: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        assert (await client.request(method, path)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "accepted", "packed"),
    [
        ("/openapi.json", "gzip", True),
        ("/openapi.json", "br;q=1, gzip;q=0.5", True),
        ("/openapi.json", "gzip;q=0", False),
        ("/openapi.json", "identity", False),
        ("/openapi.json?images=true", "gzip", False),
        ("/openapi.json?images=1", "gzip", False),
        ("/openapi.json?images=False", "gzip", True),
        ("/main.js", "gzip", True),
        ("/livez", "gzip", False),
    ],
)
async def test_text_of_a_kilobyte_is_compressed_where_the_client_accepts_it(
    client: httpx.AsyncClient, path: str, accepted: str, *, packed: bool
) -> None:
    plain = await client.get(path, headers={"accept-encoding": "identity"})
    answer = await client.get(path, headers={"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    assert ("accept-encoding" in answer.headers.get("vary", "").lower()) == (path != "/livez")
    assert answer.content == plain.content
    assert (int(answer.headers["content-length"]) < len(plain.content)) == packed
    head = await client.head(path, headers={"accept-encoding": accepted})
    assert head.headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/livez", "GET, HEAD"),
        ("DELETE", "/v1/jobs", "GET, HEAD, POST"),
        ("PUT", "/v1/jobs/none", "DELETE, GET, HEAD"),
        ("GET", "/v1/predictions", "POST"),
        ("HEAD", "/v1/predictions", "POST"),
        ("POST", "/main.js", "GET, HEAD"),
        ("POST", "/docs-assets/v1/jobs", "GET, HEAD"),
    ],
)
async def test_allow_lists_the_methods_of_every_route_of_the_path(
    client: httpx.AsyncClient, method: str, path: str, status: str
) -> None:
    answer = await client.request("PATCH" if path == "/livez" else method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, status)


@pytest.mark.parametrize("path", ["/", "/main.js", "/docs", "/openapi.json", "/livez", "/readyz", "/v1/models"])
async def test_head_has_the_headers_of_get(client: httpx.AsyncClient, path: str) -> None:
    get, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert {name for name, _ in head.headers.items()} == {name for name, _ in get.headers.items()}


async def test_no_other_origin_is_allowed_by_default(client: httpx.AsyncClient) -> None:
    answer = await client.get("/livez", headers={"origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers


async def test_allowed_origins_may_call_and_read_headers(tmp_path: Path) -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,idempotency-key"}
    async with gateway(tmp_path, cors_origins=(ORIGIN,)) as client:
        preflight = await client.options("/v1/jobs", headers={"origin": ORIGIN, **asks})
        assert preflight.status_code == 200
        assert "DELETE" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["x-request-id"]
        answer = await client.get("/v1/jobs/none", headers={"origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-expose-headers"].lower() == (
            "x-request-id, location, retry-after, server-timing"
        )
        assert "access-control-allow-credentials" not in answer.headers
        assert "origin" in answer.headers["vary"].lower()
        stranger = await client.options("/v1/jobs", headers={"origin": "https://evil.example.org", **asks})
        assert stranger.status_code == 400
        assert "access-control-allow-origin" not in stranger.headers


@pytest.mark.parametrize(
    "origin", ["*", "null", "viewer.example.org", "https://viewer.example.org/", "https://*.example.org", "HTTPS://A"]
)
def test_origins_are_exact(origin: str) -> None:
    with pytest.raises(ValidationError, match="no exact origin"):
        Settings(cors_origins=(origin,))


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:8080"])
def test_origins_may_name_a_port(origin: str) -> None:
    assert Settings(cors_origins=(origin,)).cors_origins == (origin,)


async def test_misspelt_parameters_are_refused_by_the_api_and_ignored_by_the_page(client: httpx.AsyncClient) -> None:
    for method, path in (("POST", "/v1/predictions"), ("GET", "/v1/models"), ("GET", "/v1/jobs"), ("POST", "/v1/jobs")):
        answer = await client.request(method, f"{path}?operating_piont=sensitive")
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter"), path
        assert "'operating_piont'" in answer.json()["detail"]
    twice = await client.post("/v1/predictions?images=true&images=false")
    assert (twice.status_code, twice.json()["code"]) == (400, "repeated_parameter")
    for path in ("/?x=1", "/livez?x=1", "/metrics?name[]=up", "/docs?x=1"):
        assert (await client.get(path)).status_code == 200
