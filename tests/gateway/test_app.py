import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.common.problem_schemas import PROBLEM_JSON, ProblemDetails
from services.common.report_schemas import Report
from services.gateway.api import COUNTED_FROM_START
from services.gateway.app import create_app
from services.gateway.settings import Settings
from services.gateway.stages.stage_client import Stages, connect

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway without stages."""
    stages = {name: connect(name, "http://127.0.0.1:9", 0.2, 0.2) for name in ("preprocess", "cnn", "rnn")}
    app = create_app(Stages(**stages), Settings(spool_dir=tmp_path / "spool", jobs_dir=tmp_path / "jobs"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):
        yield client


async def test_the_openapi_document_describes_every_response(client: httpx.AsyncClient) -> None:
    predict = (await client.get("/openapi.json")).json()["paths"]["/v1/predictions"]["post"]
    listed = {"200", "400", "401", "403", "413", "415", "421", "422", "429", "502", "503", "504", "default"}
    assert set(predict["responses"]) == listed
    for status, answer in predict["responses"].items():
        ((kind, content),) = answer["content"].items()
        assert content["examples"], status
        assert (kind == "application/json") == (status == "200")
    schema = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"]["files"]["items"] == {"type": "string", "format": "binary"}
    for example in predict["responses"]["200"]["content"]["application/json"]["examples"].values():
        Report.model_validate(example["value"])


def _operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {f"{method} {path}": item for path, items in document["paths"].items() for method, item in items.items()}
    assert "get /v1/jobs" in found, found
    assert not [name for name in found if name.startswith("head ")], "HEAD is not listed beside GET"
    return found


async def test_every_error_has_the_problem_schema(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for name, operation in _operations(document).items():
        assert "default" in operation["responses"], name
        errors = {status: answer for status, answer in operation["responses"].items() if not status.startswith("2")}
        for status, answer in errors.items():
            ((kind, content),) = answer["content"].items()
            assert kind == "application/problem+json", (name, status)
            assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}, (name, status)
            for example in content["examples"].values():
                assert not ProblemDetails.model_validate(example["value"]).model_extra, (name, status)
    assert "HTTPValidationError" not in json.dumps(document), "FastAPI's own 422 is never sent"
    assert {"code", "detail", "request_id"} <= set(document["components"]["schemas"]["ProblemDetails"]["required"])


async def test_every_reference_of_the_document_resolves(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for reference in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)):
        assert reference in document["components"]["schemas"]


async def test_operations_that_check_queries_declare_it(client: httpx.AsyncClient) -> None:
    operations = _operations((await client.get("/openapi.json")).json())
    for name, operation in operations.items():
        if "/v1/" in name:
            assert "unknown_parameter" in operation["responses"]["400"]["content"][PROBLEM_JSON]["examples"], name


@pytest.mark.parametrize("keys", [False, True])
async def test_operations_declare_the_bearer_scheme(tmp_path: Path, *, keys: bool) -> None:
    file = tmp_path / "keys"
    file.write_text("ann a-key-of-anns-0001")
    stages = {name: connect(name, "http://127.0.0.1:9", 0.2, 0.2) for name in ("preprocess", "cnn", "rnn")}
    document = create_app(Stages(**stages), Settings(senders_file=file if keys else None)).openapi()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for name, operation in _operations(document).items():
        secured = any(
            path in name for path in ("/v1/jobs", "/v1/predictions", "/v1/worklist", "/v1/feedback", "/v1/audit")
        )
        assert operation.get("security") == ([{"key": []}, *([] if keys else [{}])] if secured else None), name
        assert ("401" in operation["responses"]) == secured


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
    assert (await client.get("/app.js")).headers["x-content-type-options"] == "nosniff"


async def test_without_stages_it_is_alive_and_not_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/v1/models")).status_code in (502, 504)


async def test_predictions_are_counted_from_the_start(client: httpx.AsyncClient) -> None:
    """Prometheus' `increase` sees the first prediction, by which a stopped cnn is started, only beside an earlier 0."""
    text = (await client.get("/metrics")).text
    for status in COUNTED_FROM_START:
        assert f'ich_requests_total{{method="POST",route="/v1/predictions",status="{status}"}} 0.0' in text
