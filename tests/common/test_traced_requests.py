"""A service with traces on: spans of requests by route, exemplars in OpenMetrics, trace ids in logs."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import httpx
import pytest
from fastapi import FastAPI

from services.common.app import new_app
from services.common.observability import JsonFormatter
from services.common.problems import BadRequest
from tests.otlp_receiver import flush_spans, traced_process

pytestmark = pytest.mark.anyio
_OPEN_METRICS = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}


@pytest.fixture
def app() -> FastAPI:
    async def ready() -> None: ...

    made = new_app(title="x", ready=ready, drain_s=0)

    @made.get("/v1/things/{name}")
    async def thing(name: str) -> str:
        if name == "bad":
            raise BadRequest("Canarini^Cantarella")
        if name == "broken":
            raise RuntimeError("Canarini^Cantarella")
        return name

    return made


def _client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://x")


async def test_spans_name_routes_and_codes_alone(app: FastAPI) -> None:
    with traced_process() as collector:
        async with _client(app) as client:
            for path in ("good", "bad", "broken", "Canarini?name=Cantarella"):
                await client.get(f"/v1/things/{path}")
            await client.request("CANARINI", "/v1/things/good")
            await client.get("/livez")
        flush_spans()
        spans = collector.spans()
        found = [(one.name, one.attributes["http.response.status_code"], one.failed) for one in spans]
        assert found == [
            ("GET /v1/things/{name}", "200", False),
            ("GET /v1/things/{name}", "400", False),
            ("GET /v1/things/{name}", "500", True),
            ("GET /v1/things/{name}", "200", False),
            ("_OTHER /v1/things/{name}", "405", False),
        ]
        assert spans[1].attributes["ich.problem.code"] == "malformed_request"
        assert b"anarini" not in b"".join(collector.bodies)


@contextmanager
def _json_log(name: str) -> Iterator[StringIO]:
    """The lines of a logger, by a handler of its own: that of `caplog` belongs to all tests."""
    logger, text = logging.getLogger(name), StringIO()
    handler, level = logging.StreamHandler(text), logger.level
    handler.setFormatter(JsonFormatter("test"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield text
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


async def test_openmetrics_has_the_trace_as_exemplar_and_logs_have_its_id(app: FastAPI) -> None:
    with traced_process() as collector, _json_log("services.common.observability_middleware") as log:
        async with _client(app) as client:
            await client.get("/v1/things/good")
            plain, opened = await client.get("/metrics"), await client.get("/metrics", headers=_OPEN_METRICS)
        flush_spans()
        (span,) = collector.spans()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["trace_id"] for line in lines if line["message"] == "request"] == [span.trace]
    assert plain.headers["content-type"].startswith("text/plain")
    assert span.trace not in plain.text
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert f'# {{trace_id="{span.trace}"}}' in opened.text


async def test_without_traces_openmetrics_has_no_exemplar(app: FastAPI) -> None:
    async with _client(app) as client:
        await client.get("/v1/things/good")
        opened = await client.get("/metrics", headers=_OPEN_METRICS)
    assert opened.text.endswith("# EOF\n")
    assert "trace_id" not in opened.text
