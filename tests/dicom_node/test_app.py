"""The node's HTTP: health, status, its page, and what it refuses."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from services.common.security_headers import PAGE_POLICY
from services.dicom_node.app import create_app
from services.dicom_node.node import Node
from services.dicom_node.settings import Settings
from services.dicom_node.status.schemas import Status
from tests.common.identity.oidc.issuer import claims
from tests.common.identity.oidc.issuer import token as issued
from tests.common.identity.oidc.provider_server import serving
from tests.running import free_ports

pytestmark = pytest.mark.anyio
NOBODY = "http://127.0.0.1:9"  # no gateway listens on the discard port


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (port,) = free_ports(1)
    app = create_app(Node.create(Settings(data_dir=tmp_path / "node", dicom_port=port, gateway_url=NOBODY)))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened,
    ):
        yield opened


async def test_a_node_without_gateway_and_destination_is_ready_to_receive(client: httpx.AsyncClient) -> None:
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    status = Status.model_validate((await client.get("/v1/status")).json())
    assert status.listening
    assert not status.gateway.ready
    assert "does not answer" in str(status.gateway.detail)
    assert status.destinations == ()


async def test_the_page_runs_its_own_script_only(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.headers["content-security-policy"] == PAGE_POLICY
    assert "<script type" in page.text
    assert 'src="status.js"' in page.text
    assert (await client.get("/status.js")).status_code == 200
    assert (await client.get("/nothing")).json()["code"] == "not_found"


async def test_metrics_name_the_node(client: httpx.AsyncClient) -> None:
    assert "ich_node_associations 0.0" in (await client.get("/metrics")).text


async def test_another_host_is_refused(client: httpx.AsyncClient) -> None:
    refused = await client.get("/v1/status", headers={"host": "evil.example.org"})
    assert (refused.status_code, refused.json()["code"]) == (421, "unknown_host")
    assert "ICH_NODE_HOSTS" in refused.json()["detail"]


async def test_a_page_of_another_origin_may_not_send(client: httpx.AsyncClient) -> None:
    refused = await client.post("/v1/pull", headers={"origin": "https://evil.example.org"}, json={})
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_origin")


def test_an_address_of_the_network_needs_keys(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="ICH_NODE_SENDERS_FILE"):
        Settings(data_dir=tmp_path, host="0.0.0.0")  # noqa: S104 - refused
    assert Settings(data_dir=tmp_path, host="0.0.0.0", published_host="127.0.0.1").senders_file is None  # noqa: S104


async def test_with_a_file_of_keys_the_status_needs_one_and_its_page_does_not(tmp_path: Path) -> None:
    (tmp_path / "senders").write_text("site key-of-the-site-0123456789\n")
    (port,) = free_ports(1)
    settings = Settings(data_dir=tmp_path / "node", dicom_port=port, senders_file=tmp_path / "senders")
    app = create_app(Node.create(settings))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/v1/status")).json()["code"] == "unauthorized"
        assert (await client.post("/v1/pull", json={})).status_code == 401
        assert (await client.post("/dicom-web/studies")).status_code == 401
        key = {"authorization": "Bearer key-of-the-site-0123456789"}
        assert (await client.get("/v1/status", headers=key)).status_code == 200


async def test_tokens_and_their_roles_count_at_the_node_too(tmp_path: Path) -> None:
    with serving() as provider:
        settings = Settings(data_dir=tmp_path / "node", oidc_issuer=provider.url, oidc_audience="ich")
        app = create_app(Node.create(settings))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            for roles, codes in (
                (["read"], ("missing_role", "unknown_pull")),
                (["submit"], ("not_acceptable", "missing_role")),
            ):
                token = issued(claims(iss=provider.url, roles=roles))
                headers = {"authorization": f"Bearer {token}", "accept": "text/plain"}
                stored = await client.post("/dicom-web/studies", headers=headers)
                pull = await client.get("/v1/pull/none", headers=headers)
                assert (stored.json()["code"], pull.json()["code"]) == codes
