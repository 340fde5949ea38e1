import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from services.gateway.app import create_app
from services.gateway.settings import Settings
from services.gateway.stages.stage_client import Stages, connect

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
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):
        yield client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway(tmp_path) as client:
        yield client


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:9", "[::1]:8000", "localhost."])
async def test_local_hosts_are_served(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/v1/jobs", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example.org", "localhost.evil.example.org", "127.0.0.1.evil.org:8000", "localhost:8000:1", "", "::1"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/jobs"), ("DELETE", "/v1/jobs/none"), ("GET", "/"), ("GET", "/docs"), ("GET", "/docs-assets/x.js")],
)
async def test_other_hosts_are_refused(client: httpx.AsyncClient, host: str, method: str, path: str) -> None:
    answer = await client.request(method, path, headers={"host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, "unknown_host")
    assert "ICH_GATEWAY_HOSTS" in answer.json()["detail"]


@pytest.mark.parametrize("length", [65, 300, 5000])
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/reports"), ("GET", "/events")])
async def test_a_long_job_id_is_unknown(client: httpx.AsyncClient, length: int, method: str, path: str) -> None:
    assert (await client.request(method, f"/v1/jobs/{'a' * length}{path}")).status_code == 404


async def test_two_host_headers_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/jobs", headers=[("host", "localhost"), ("host", "evil.example.org")])
    assert answer.status_code == 421


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_take_any_host(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers={"host": "10.1.2.3:8000"})).status_code in (200, 503)


async def test_named_hosts_and_the_bound_address_are_served(tmp_path: Path) -> None:
    async with gateway(tmp_path, hosts=("ct.example.org", "[2001:db8::7]"), host="10.0.0.7") as client:
        for host in ("ct.example.org", "CT.example.org:443", "[2001:db8::7]:8000", "10.0.0.7:8000"):
            assert (await client.get("/v1/jobs", headers={"host": host})).status_code == 200
        assert (await client.get("/v1/jobs", headers={"host": "example.org"})).status_code == 421


async def test_a_bound_ipv6_address_is_served_in_brackets(tmp_path: Path) -> None:
    async with gateway(tmp_path, host="2001:db8::7") as client:
        assert (await client.get("/v1/jobs", headers={"host": "[2001:DB8::7]:8000"})).status_code == 200


@pytest.mark.parametrize("host", ["*", "*.example.org", "http://a", "a:80", "A", "", "2001:db8::7", "a/b"])
def test_hosts_are_names_without_ports(host: str) -> None:
    with pytest.raises(ValidationError, match="no host such as"):
        Settings(hosts=(host,))


FOREIGN = [
    {"sec-fetch-site": "cross-site", "origin": "https://evil.example.org"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
    {"sec-fetch-site": "cross-site"},
    {"origin": "https://evil.example.org"},
    {"origin": "http://localhost:3000"},
    {"origin": "null"},
    {"origin": "https://["},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/jobs"),
        ("POST", "/v1/predictions"),
        ("DELETE", "/v1/jobs/none"),
        ("PATCH", "/v1/jobs/none"),
        ("PUT", "/v1/jobs/none/series/0/feedback"),
    ],
)
async def test_pages_of_other_origins_change_no_state(
    client: httpx.AsyncClient, headers: dict[str, str], method: str, path: str
) -> None:
    answer = await client.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin")


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example.org"}, {}])
async def test_links_from_other_pages_open_the_page(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.get("/", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "origin": "http://localhost"},
        {"sec-fetch-site": "none"},
        {"origin": "http://LOCALHOST"},
        {"origin": "https://localhost"},  # behind a proxy with TLS
        {},
    ],
)
async def test_the_own_page_and_programs_may_change_state(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.delete("/v1/jobs/none", headers=headers)).status_code == 404


async def test_allowed_origins_may_change_state(tmp_path: Path) -> None:
    async with gateway(tmp_path, cors_origins=(ORIGIN,)) as client:
        foreign = {"origin": ORIGIN, "sec-fetch-site": "cross-site"}
        assert (await client.delete("/v1/jobs/none", headers=foreign)).status_code == 404


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
async def test_documents_allow_their_own_inline_scripts_only(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    policy = answer.headers["content-security-policy"]
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    (allowed,) = re.findall(r"script-src ([^;]*)", policy)
    assert allowed.split() == ["'self'", *(f"'sha256-{found}'" for found in hashes)]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/docs", "/docs-assets/swagger-ui.css", "/v1/jobs", "/livez", "/none"]
)
async def test_every_response_restricts_browsers(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'self'" in policy or "default-src 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    is_file = path in ("/", "/app.js", "/docs-assets/swagger-ui.css")
    assert answer.headers["cache-control"] == ("no-cache" if is_file else "no-store")


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
        ("/app.js", "gzip", True),
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
        ("PUT", "/v1/jobs/none", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/v1/predictions", "POST"),
        ("HEAD", "/v1/predictions", "POST"),
        ("POST", "/app.js", "GET, HEAD"),
        ("POST", "/docs-assets/v1/jobs", "GET, HEAD"),
    ],
)
async def test_allow_lists_the_methods_of_every_route_of_the_path(
    client: httpx.AsyncClient, method: str, path: str, status: str
) -> None:
    answer = await client.request("PATCH" if path == "/livez" else method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, status)


@pytest.mark.parametrize("path", ["/", "/app.js", "/docs", "/openapi.json", "/livez", "/readyz", "/v1/models"])
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
            "x-request-id, location, retry-after, server-timing, ratelimit, ratelimit-policy"
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
