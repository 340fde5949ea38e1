"""The gateway's API over a real object storage, which fails at times."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio import sleep, to_thread
from redis import Redis

from services.gateway.jobs.service import JobService
from services.gateway.settings import Settings
from tests.contracts.conftest import Chain
from tests.contracts.test_jobs import Batch, series
from tests.faulty_proxy import FaultyProxy, faulty_proxy
from tests.object_storage import ObjectServer
from tests.redis_process import redis_url, running_redis

pytestmark = pytest.mark.anyio
REQUESTS = 18  # more than the requests of one upload


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
def proxy(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    with faulty_proxy(object_server.endpoint) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


@pytest.fixture
def gateway_settings(
    gateway_settings: Settings, redis: Redis, object_server: ObjectServer, proxy: FaultyProxy
) -> Settings:
    redis.flushall()
    assert proxy.requests == 0
    changed = {"redis_url": redis_url(redis), "jobs_url": object_server.new_url()}
    return gateway_settings.model_copy(update=changed)


@pytest.fixture
async def batch(chain: Chain, redis: Redis) -> AsyncIterator[Batch]:
    found = Batch(chain, redis)
    yield found
    await found.stages.close()


async def send(chain: Chain, key: str) -> httpx.Response:
    parts = [("files", (name, content)) for name, content in series(0).items()]
    return await chain.client.post("/v1/jobs", files=parts, headers={"idempotency-key": key})


async def listed(chain: Chain) -> list[str]:
    return [job["id"] for job in (await chain.client.get("/v1/jobs")).json()["jobs"]]


async def test_a_job_lives_in_an_object_storage_alone(batch: Batch, tmp_path: Path) -> None:
    chain, client = batch.chain, batch.chain.client
    address = await batch.send({**series(0), **series(1)}, priority="urgent", key_images=True, source="batch")
    assert (await client.patch(address, json={"priority": "routine"})).json()["priority"] == "routine"
    assert "ich_jobs_open" in (await client.get("/metrics")).text
    await batch.work()
    job, page = await batch.get(address), await batch.get(f"{address}/reports")
    assert (job["status"], job["counts"]["assessed"], len(page["reports"])) == ("finished", 2, 2)
    image = await client.get(f"{address}/series/0/slices/0/image")
    assert (image.status_code, image.headers["content-type"]) == (200, "image/png")
    opinion = await client.put(f"{address}/series/0/feedback", json={"opinion": "agree", "label": "any"})
    assert opinion.is_success, opinion.text
    while [entry["status"] for entry in (await batch.get("/v1/worklist"))["entries"]] != ["assessed"] * 2:  # noqa: ASYNC110 - the tracker is a thread
        await sleep(0.05)
    assert await listed(chain) == [job["id"]]
    assert not [path for path in (tmp_path / "jobs").rglob("*") if path.is_file() and b"DICM" in path.read_bytes()]
    assert (await client.delete(address)).status_code == 204
    assert (await client.get(address)).status_code == 404
    assert await listed(chain) == []


async def test_a_storage_that_fails_at_any_request_keeps_nothing_and_the_retry_succeeds_once(
    chain: Chain, proxy: FaultyProxy, tmp_path: Path
) -> None:
    service: JobService = chain.gateway.state.jobs
    for count in range(REQUESTS):
        before = set(await listed(chain))
        proxy.faults, proxy.always = deque([None] * count), 403
        answer = await send(chain, f"key {count}")
        proxy.faults.clear()
        proxy.always = None
        if answer.status_code != 202:
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (503, "storage_refused"), count
            assert int(answer.headers["retry-after"]) > 0
        again = await send(chain, f"key {count}")
        assert again.status_code == 202, again.text
        await to_thread.run_sync(lambda: service.store.settle_uploads(all_gateways=False))
        assert len(set(await listed(chain)) - before) == 1
        assert (await chain.client.get(again.headers["location"])).json()["files"] == 2
    assert service.store.uploads.ids() == set()
    assert list((tmp_path / "jobs" / "incoming").glob("upload-*")) == []
