import json
import logging
import tomllib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from services.common.app import VERSION, new_app
from services.common.observability import JsonFormatter, configure_logging
from services.common.problems import NotReady, PayloadTooLarge
from tests.running import ROOT

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def app() -> FastAPI:
    working = [True]

    async def ready() -> None:
        if not working[0]:
            raise NotReady("the model does not answer")

    app = new_app(title="example", ready=ready, drain_s=0)
    app.state.working = working

    @app.get("/big")
    async def big() -> None:
        raise PayloadTooLarge("patient Zebedee's file is too large", files=["zebedee.dcm"])

    @app.get("/fault")
    async def fault(number: int = 0) -> float:
        return 1 / number

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        yield client


async def test_a_problem_is_answered_as_problem_details(client: httpx.AsyncClient) -> None:
    answer = await client.get("/big", headers={"x-request-id": "abc"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:ich:problem:too_large",
        "title": "The upload is too large",
        "status": 413,
        "detail": "patient Zebedee's file is too large",
        "code": "too_large",
        "files": ["zebedee.dcm"],
        "request_id": "abc",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/big", 405, "method_not_allowed"),
        ("GET", "/fault?number=one", 400, "malformed_request"),
        ("GET", "/fault", 500, "internal_error"),
    ],
)
async def test_every_failure_has_the_same_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (status, status, code)
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "ZeroDivision" not in answer.text


async def test_health(client: httpx.AsyncClient, app: FastAPI) -> None:
    assert (await client.get("/livez")).json() == {"status": "alive"}
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    app.state.working[0] = False
    unready = await client.get("/readyz")
    assert (unready.status_code, unready.headers["retry-after"]) == (503, "5")
    assert (await client.get("/livez")).status_code == 200


async def test_metrics_count_by_route_and_never_by_path(client: httpx.AsyncClient) -> None:
    await client.get("/big")
    await client.get("/zebedee.dcm")
    metrics = (await client.get("/metrics")).text
    assert 'ich_requests_total{method="GET",route="/big",status="413"} 1.0' in metrics
    assert 'route="other"' in metrics
    assert "zebedee" not in metrics


@pytest.mark.parametrize("sent", ["", "with space", "x" * 65, "line\tbreak", "ä"])
async def test_a_request_id_that_could_harm_is_replaced(client: httpx.AsyncClient, sent: str) -> None:
    answer = await client.get("/livez", headers={b"x-request-id": sent.encode()})
    assert answer.headers["x-request-id"] != sent
    assert len(answer.headers["x-request-id"]) == 32


async def test_logs_hold_no_words_of_an_exception(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await client.get("/big")
    lines = [JsonFormatter("example").format(record) for record in caplog.records]
    assert any(json.loads(line).get("route") == "/big" for line in lines)
    assert "ebedee" not in "".join(lines)


async def test_a_fault_of_our_own_is_logged_with_what_it_came_from(
    client: httpx.AsyncClient, app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/broken")
    async def broken() -> None:
        try:
            int("Zebedee")
        except ValueError as error:
            raise NotReady("Zebedee's number is none") from error

    assert (await client.get("/broken")).status_code == 503
    lines = [json.loads(JsonFormatter("example").format(record)) for record in caplog.records]
    (fault,) = (line for line in lines if line["message"] == "problem")
    assert (fault["code"], fault["error"]) == ("not_ready", "NotReady from ValueError")
    assert "Zebedee" not in json.dumps(lines)


def test_an_exception_is_logged_by_class_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("example")
    try:
        int("Zebedee")
    except ValueError:
        logging.getLogger("example").exception("failed")
    line = json.loads(capsys.readouterr().err)
    assert (line["service"], line["level"], line["error"]) == ("example", "error", "ValueError")
    assert "test_app.py" in line["trace"][0]
    assert "Zebedee" not in json.dumps(line)
    logging.getLogger().handlers.clear()


def test_the_project_and_the_services_have_one_version() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
