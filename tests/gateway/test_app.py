from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.common.schemas import Report
from services.gateway.app import create_app
from services.gateway.settings import Settings
from services.gateway.stages import Stages, connect

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway whose stages are not there: the documents are."""
    stages = {name: connect(name, "http://127.0.0.1:9", 0.2, 0.2) for name in ("preprocess", "cnn", "rnn")}
    app = create_app(Stages(**stages), Settings(spool_dir=tmp_path / "spool", jobs_dir=tmp_path / "jobs"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):
        yield client


async def test_the_openapi_document_describes_every_answer(client: httpx.AsyncClient) -> None:
    predict = (await client.get("/openapi.json")).json()["paths"]["/v1/predictions"]["post"]
    assert set(predict["responses"]) == {"200", "400", "401", "413", "415", "422", "502", "503", "504"}
    for status, answer in predict["responses"].items():
        ((kind, content),) = answer["content"].items()
        assert content["examples"], status
        assert (kind == "application/json") == (status == "200")
    schema = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"]["files"]["items"] == {"type": "string", "format": "binary"}
    for example in predict["responses"]["200"]["content"]["application/json"]["examples"].values():
        Report.model_validate(example["value"])


async def test_the_documentation_needs_no_other_host(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert "://" not in page.replace("http://www.w3.org", "")
    assert (await client.get("/docs-assets/swagger-ui-bundle.js")).status_code == 200


async def test_the_page_is_served(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "not a medical device" in page.text
    assert page.headers["cache-control"] == "no-cache"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert (await client.get("/main.js")).headers["x-content-type-options"] == "nosniff"


async def test_without_stages_it_lives_and_is_not_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/v1/models")).status_code in (502, 504)
