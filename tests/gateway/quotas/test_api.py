"""Quotas and rate limits over the routes of real gateways."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from redis import Redis

from services.gateway.settings import Settings
from tests.gateway.jobs.test_api import KEYS, app_of, client_of, send
from tests.object_storage import ObjectServer
from tests.redis_process import redis_url

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def settings_of(folder: Path, redis: Redis, **more: Any) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "senders").write_text("\n".join(f"{sender} {key}" for sender, key in KEYS.items()))
    places = {"spool_dir": folder / "spool", "jobs_dir": folder / "store", "senders_file": folder / "senders"}
    return Settings(**{**places, "redis_url": redis_url(redis), **more})


@pytest.fixture
async def app(tmp_path: Path, redis: Redis) -> AsyncIterator[FastAPI]:
    app = app_of(settings_of(tmp_path, redis, quota_jobs=2, quota_requests_per_minute=4))
    async with app.router.lifespan_context(app):
        yield app


async def test_a_job_beyond_the_quota_is_refused_before_its_body_is_read(app: FastAPI) -> None:
    async with client_of(app) as client:
        assert [(await send(client)).status_code for _ in range(2)] == [202, 202]
    key = KEYS["ann"]
    headers = {"host": "localhost", "authorization": f"Bearer {key}", "content-type": "multipart/form-data; boundary=b"}
    status, body = await _without_body(app, headers)
    assert status == 429
    assert '"code":"quota_exceeded"' in body
    assert "2 of this sender's jobs have not ended, of 2" in body


async def _without_body(app: FastAPI, headers: dict[str, str]) -> tuple[int, str]:
    """The response to a job whose body never comes; reading it fails the test."""
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body is read")

    async def collect(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/jobs", "raw_path": b"/v1/jobs",
        "query_string": b"", "root_path": "", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    await app(scope, receive, collect)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()


async def test_every_response_to_a_sender_states_its_rate_and_a_further_request_is_refused(app: FastAPI) -> None:
    async with client_of(app) as client:
        found = [await client.get("/v1/jobs") for _ in range(5)]
        missing = [await client.get(path) for path in ("/livez", "/metrics", "/v1/login", "/", "/session.js")]
    assert [answer.status_code for answer in found] == [200] * 4 + [429]
    assert {answer.headers["ratelimit-policy"] for answer in found} == {'"requests";q=4;w=60'}
    assert [re.sub(";t=.*", "", answer.headers["ratelimit"]) for answer in found] == [
        f'"requests";r={left}' for left in (3, 2, 1, 0, 0)
    ]
    refused = found[-1]
    assert refused.json()["code"] == "rate_limited"
    assert refused.json()["limit"] == 4
    assert 1 <= int(refused.headers["retry-after"]) <= 15
    assert not any("ratelimit" in answer.headers or answer.status_code == 429 for answer in missing)
    async with client_of(app, "bob") as other:
        assert (await other.get("/v1/jobs")).status_code == 200


async def test_refusals_are_metrics(app: FastAPI) -> None:
    async with client_of(app) as client:
        statuses = [(await client.get("/v1/jobs")).status_code for _ in range(6)]
        text = (await client.get("/metrics")).text
    assert statuses.count(429)
    assert f'ich_quota_refusals_total{{quota="requests"}} {statuses.count(429)}.0' in text
    assert 'ich_quota_refusals_total{quota="jobs"} 0.0' in text
    assert "ich_rate_unchecked_total 0.0" in text


async def test_requests_pass_without_redis(tmp_path: Path, redis: Redis) -> None:
    nowhere = f"unix://{tmp_path}/redis.sock"
    app = app_of(settings_of(tmp_path, redis, redis_url=nowhere, quota_requests_per_minute=1))
    async with app.router.lifespan_context(app), client_of(app) as client:
        answers = [await client.get("/v1/jobs") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert not any("ratelimit" in answer.headers for answer in answers)


async def test_two_gateways_share_the_quotas_of_their_storage(
    tmp_path: Path, redis: Redis, object_server: ObjectServer
) -> None:
    url, clients = object_server.new_url(), []
    async with AsyncExitStack() as stack:
        for name in ("a", "b"):
            app = app_of(settings_of(tmp_path / name, redis, jobs_url=url, quota_jobs=3))
            await stack.enter_async_context(app.router.lifespan_context(app))
            clients.append(await stack.enter_async_context(client_of(app)))
        sent = [await send(clients[index % 2]) for index in range(5)]
        assert [answer.status_code for answer in sent] == [202, 202, 202, 429, 429]
        assert {answer.json().get("code") for answer in sent[3:]} == {"quota_exceeded"}
        redis.flushall()
        cancelled: httpx.Response = await clients[0].delete(sent[0].headers["location"])
        assert cancelled.status_code == 200
        again = [await send(clients[index]) for index in range(2)]
        assert [answer.status_code for answer in again] == [202, 429]
