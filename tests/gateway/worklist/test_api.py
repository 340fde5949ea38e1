"""Routes of the worklist with a real Redis and no stages; tests write plans and reports themselves."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from tests.gateway.jobs.conftest import redis, redis_process  # noqa: F401 - fixtures
from tests.gateway.jobs.factories import always, report_of
from tests.gateway.jobs.test_api import KEYS, app_of, client_of, planned_job, send
from tests.redis_process import redis_url

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(redis: Redis, tmp_path: Path) -> Settings:  # noqa: F811 - the fixture
    keys = tmp_path / "senders"
    keys.write_text("".join(f"{sender} {key} {'read_all' * (sender == 'bob')}\n" for sender, key in KEYS.items()))
    return Settings(
        spool_dir=tmp_path / "spool", jobs_dir=tmp_path / "store", redis_url=redis_url(redis), senders_file=keys
    )


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(settings)
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


async def until(client: httpx.AsyncClient, total: int, **query: Any) -> dict[str, Any]:
    """The page once it has this number of entries."""
    while True:
        answer = await client.get("/v1/worklist", params=query)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        if page["total"] == total and page["complete"]:
            return page
        await asyncio.sleep(0.01)


async def test_a_job_appears_and_its_report_follows(client: httpx.AsyncClient, store: JobStore) -> None:
    job = await planned_job(client, store, 2, priority="urgent")
    page = await until(client, 2)
    assert [(entry["job"], entry["number"], entry["priority"]) for entry in page["entries"]] == [
        (job.id, 0, "urgent"),
        (job.id, 1, "urgent"),
    ]
    job.create_report(0, report_of("assessed", present=True))
    page = await until(client, 1, status="assessed,not_assessed", label="any", present=True)
    assert page["entries"][0]["predictions"]["any"] is True
    assert (page["positive"], page["not_assessed"], page["waiting"]) == (1, 0, 0)
    assert (await until(client, 1, status="running"))["waiting"] == 1


async def test_pages_follow_one_another(client: httpx.AsyncClient) -> None:
    sent = [(await send(client)).json()["id"] for _ in range(5)]
    await until(client, 5)
    address, found = "/v1/worklist?limit=2&sort=urgent", []
    while address:
        page = (await client.get(address)).json()
        found += [entry["job"] for entry in page["entries"]]
        address = page["next"]
    assert found == sent[::-1]
    middle = (await client.get("/v1/worklist?limit=2&offset=2")).json()
    assert [entry["job"] for entry in middle["entries"]] == sent[::-1][2:4]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("cursor=abc", "invalid_cursor"),
        ("cursor=WzFd", "invalid_cursor"),
        ("cursor=é", "invalid_cursor"),
        ("status=done", "invalid_filter"),
        ("label=blood", "invalid_filter"),
        ("sort=probability", "invalid_filter"),
        ("from=yesterday", "invalid_filter"),
        ("limit=501", "malformed_request"),
        ("colour=red", "unknown_parameter"),
    ],
)
async def test_a_malformed_query_is_refused_by_name(client: httpx.AsyncClient, query: str, code: str) -> None:
    answer = await client.get(f"/v1/worklist?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_the_events_have_the_version_of_the_pages(settings: Settings) -> None:
    app = app_of(settings)
    async with app.router.lifespan_context(app), client_of(app) as client:
        before = (await until(client, 0))["version"]
        stream = app.state.events.watch("worklist ann", lambda: app.state.worklist.update("ann"), always)
        present = json.loads((await anext(stream)).raw_data)["version"]
        await send(client)
        changed = json.loads((await anext(stream)).raw_data)["version"]
        await stream.aclose()
        assert before <= present < changed == (await until(client, 1))["version"]


async def test_a_key_reads_its_own_jobs_and_with_a_role_those_of_all(settings: Settings) -> None:
    app = app_of(settings)
    async with app.router.lifespan_context(app), client_of(app) as ann, client_of(app, "bob") as bob:
        await send(bob)
        job = (await send(ann)).json()["id"]
        assert [entry["job"] for entry in (await until(ann, 1))["entries"]] == [job]
        assert job in [entry["job"] for entry in (await until(bob, 2))["entries"]]
