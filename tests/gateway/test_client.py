import time
from email.utils import formatdate
from itertools import count
from pathlib import Path

import httpx
import pytest

from services.common.retry_policy import RetryPolicy
from services.gateway.client import (
    KEY_NAME,
    GatewayClient,
    GatewayUnavailable,
    GatewayUnreachable,
    KeyRefused,
    RequestRefused,
    UsageError,
    auth_headers,
)


def _client(*responses: httpx.Response) -> tuple[GatewayClient, list[float]]:
    """A client that gets these responses in turn, and its delays."""
    numbers = count()
    delays: list[float] = []
    transport = httpx.MockTransport(lambda _: responses[next(numbers) % len(responses)])
    http = httpx.Client(transport=transport, base_url="http://gateway")
    return GatewayClient(http, RetryPolicy(1.0, 60.0, 4.0), sleep=delays.append, clock=lambda: sum(delays)), delays


def _problem(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"title": "Busy", "detail": "cnn is busy"}, headers=headers)


def test_delays_double_until_the_policy_gives_up() -> None:
    client, delays = _client(_problem(503))
    with pytest.raises(GatewayUnavailable, match=r"^http://gateway answered 503 Busy: cnn is busy$"):
        client.request("GET", "/")
    assert delays[:4] == [1.0, 2.0, 4.0, 4.0]
    assert sum(delays) <= 60


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_temporary_error_is_retried_after_retry_after(status: int) -> None:
    client, delays = _client(_problem(status, **{"retry-after": "30"}), httpx.Response(200))
    assert client.request("GET", "/").status_code == 200
    assert delays == [30.0]


def test_retry_after_may_be_a_date() -> None:
    client, delays = _client(_problem(503, **{"retry-after": formatdate(time.time() + 30)}), httpx.Response(200))
    client.request("GET", "/")
    assert 25 < delays[0] <= 30


@pytest.mark.parametrize(("status", "error"), [(401, KeyRefused), (403, KeyRefused), (409, RequestRefused)])
def test_other_errors_are_not_retried(status: int, error: type[Exception]) -> None:
    client, delays = _client(_problem(status))
    with pytest.raises(error, match=f"^{status} Busy: cnn is busy"):
        client.request("GET", "/")
    assert delays == []


def test_a_response_without_a_problem_document_is_described() -> None:
    client, _ = _client(httpx.Response(404, text="of a proxy"))
    with pytest.raises(RequestRefused, match="404 Not Found: the response has no problem document"):
        client.request("GET", "/")


def test_waiting_for_readiness_ends_with_the_reason() -> None:
    client, _ = _client(_problem(503))
    with pytest.raises(GatewayUnavailable, match="cnn is busy"):
        client.wait_until_ready(0.4)
    _client(httpx.Response(200))[0].wait_until_ready(0)


def test_a_gateway_that_does_not_listen_is_unreachable() -> None:
    with httpx.Client(base_url="http://127.0.0.1:9") as http:
        client = GatewayClient(http, RetryPolicy(1.0, 0.0))
        with pytest.raises(GatewayUnreachable, match=r"http://127.0.0.1:9 did not answer \(ConnectError\)"):
            client.wait_until_ready(0)


def test_the_key_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_NAME, raising=False)
    assert auth_headers(None) == {}
    monkeypatch.setenv(KEY_NAME, "of-the-environment")
    assert auth_headers(None) == {"authorization": "Bearer of-the-environment"}
    key = tmp_path / "key"
    key.write_text("of-a-file\n")
    assert auth_headers(key) == {"authorization": "Bearer of-a-file"}
    for content in (b"", b" \n", b"two\nlines", "schlüssel".encode(), b"\xff"):
        key.write_bytes(content)
        with pytest.raises(UsageError, match="key"):
            auth_headers(key)
    with pytest.raises(UsageError, match="No such file"):
        auth_headers(tmp_path / "none")
