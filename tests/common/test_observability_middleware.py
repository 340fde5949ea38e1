"""Metrics and request ids of every request."""

import httpx
import pytest

pytestmark = pytest.mark.anyio


async def test_metrics_count_by_route_not_by_path(client: httpx.AsyncClient) -> None:
    await client.get("/big")
    await client.get("/zebedee.dcm")
    metrics = (await client.get("/metrics")).text
    assert 'ich_requests_total{method="GET",route="/big",status="413"} 1.0' in metrics
    assert 'route="other"' in metrics
    assert "zebedee" not in metrics


@pytest.mark.parametrize("sent", ["", "with space", "x" * 65, "line\tbreak", "ä"])
async def test_an_unsafe_request_id_is_replaced(client: httpx.AsyncClient, sent: str) -> None:
    answer = await client.get("/livez", headers={b"x-request-id": sent.encode()})
    assert answer.headers["x-request-id"] != sent
    assert len(answer.headers["x-request-id"]) == 32
