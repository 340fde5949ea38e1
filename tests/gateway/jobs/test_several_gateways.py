"""Two gateways on one object storage and a real Redis, over their routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from redis import Redis

from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from tests.gateway.jobs.factories import report_of
from tests.gateway.jobs.test_api import KEYS, app_of, client_of, planned_job, send
from tests.redis_process import redis_url

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def settings_of(name: str, redis: Redis, folder: Path) -> Settings:
    keys = folder / "senders"
    keys.write_text("".join(f"{sender} {key} submit,read\n" for sender, key in KEYS.items()))
    return Settings(
        spool_dir=folder / name / "spool",
        jobs_dir=folder / name / "jobs",
        jobs_url=f"memory://{folder.name}",
        redis_url=redis_url(redis),
        senders_file=keys,
    )


@pytest.fixture
def store(redis: Redis, tmp_path: Path) -> JobStore:
    """The jobs, as a worker sees them."""
    found = settings_of("worker", redis, tmp_path)
    return JobStore.at(found.jobs_dir, found.jobs_url)


@pytest.fixture
async def clients(redis: Redis, tmp_path: Path) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        apps = [app_of(settings_of(name, redis, tmp_path)) for name in ("first", "second")]
        for app in apps:
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield [await stack.enter_async_context(client_of(app)) for app in apps]


async def until_total(client: httpx.AsyncClient, total: int) -> None:
    """Wait until a gateway's worklist has this number of series."""
    while True:
        page = (await client.get("/v1/worklist")).json()
        if page["total"] == total and page["complete"]:
            return
        await asyncio.sleep(0.05)


async def test_each_gateway_shows_changes_and_reads_and_ends_the_jobs_of_the_other(
    clients: list[httpx.AsyncClient], store: JobStore
) -> None:
    first, second = clients
    job = await planned_job(first, store, 2)
    await until_total(second, 2)
    events = asyncio.create_task(second.get(f"/v1/jobs/{job.id}/events"))
    job.create_report(0, report_of("assessed"))
    assert (await second.delete(f"/v1/jobs/{job.id}")).json()["status"] == "cancelled"
    assert (await events).text.strip().split("\n\n")[-1].startswith("event: end")
    assert (await second.delete(f"/v1/jobs/{job.id}")).status_code == httpx.codes.NO_CONTENT
    await until_total(first, 0)
    assert (await first.get(f"/v1/jobs/{job.id}")).status_code == httpx.codes.NOT_FOUND


async def test_one_request_at_both_gateways_is_one_job(clients: list[httpx.AsyncClient], store: JobStore) -> None:
    answers = await asyncio.gather(*(send(client, 3, key="key") for client in clients * 3))
    accepted = {answer.json()["id"] for answer in answers if answer.status_code == httpx.codes.ACCEPTED}
    assert len(accepted) == 1
    assert {job.id for job in store.jobs("ann")} == accepted


async def test_changes_of_priority_at_both_gateways_leave_one_mark(
    clients: list[httpx.AsyncClient], store: JobStore
) -> None:
    job = await planned_job(clients[0], store)
    changes = [("urgent", "routine")[number % 3 > 0] for number in range(12)]
    answers = await asyncio.gather(
        *(clients[number % 2].patch(f"/v1/jobs/{job.id}", json={"priority": new}) for number, new in enumerate(changes))
    )
    assert {answer.status_code for answer in answers} == {httpx.codes.OK}
    marked = [priority for priority in ("urgent", "routine") if store.open_jobs(priority, "ann")]
    assert marked == [job.priority()]
