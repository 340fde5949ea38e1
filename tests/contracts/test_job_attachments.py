"""Blood maps and pictures of jobs, with real stages, Redis and storage."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis import Redis

from services.gateway.settings import Settings
from tests.contracts.conftest import Chain
from tests.contracts.test_jobs import Batch, series
from tests.object_storage import ObjectServer
from tests.redis_process import redis_url, running_redis

pytestmark = pytest.mark.anyio

GRID = (4, 8)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
def blood_grid() -> tuple[int, int]:
    return GRID


@pytest.fixture(params=["folder", "s3"])
def jobs_url(request: pytest.FixtureRequest) -> str | None:
    """A local folder, and a real object storage."""
    if request.param == "folder":
        return None
    server: ObjectServer = request.getfixturevalue("object_server")
    return server.new_url()


@pytest.fixture
def gateway_settings(gateway_settings: Settings, redis: Redis, jobs_url: str | None) -> Settings:
    redis.flushall()
    return gateway_settings.model_copy(update={"redis_url": redis_url(redis), "jobs_url": jobs_url})


@pytest.fixture
async def batch(chain: Chain, redis: Redis) -> AsyncIterator[Batch]:
    found = Batch(chain, redis)
    yield found
    await found.stages.close()


async def problem(batch: Batch, address: str) -> tuple[int, str, str]:
    answer = await batch.chain.client.get(address)
    document = answer.json()
    return answer.status_code, document["code"], document["detail"]


async def check_results(batch: Batch, address: str, number: int) -> dict[str, Any]:
    """A series has the map and the pictures of the synchronous request."""
    report: dict[str, Any] = (await batch.get(f"{address}/reports"))["reports"][number]
    files = {**series(0, 3), **series(1, 3)}
    own = {item["file"]: files[item["file"]] for item in report["slices"]}
    waited = (await batch.chain.predict(own, blood=True, images=True, operating_point="sensitive")).json()
    blood = await batch.chain.client.get(f"{address}/series/{number}/blood")
    assert (blood.status_code, blood.headers["content-type"]) == (200, "application/octet-stream")
    assert blood.content == base64.b64decode(waited["blood"].pop("data"))
    assert report["blood"] == {**waited["blood"], "data": None}
    assert [item["geometry"] for item in report["slices"]] == [item["geometry"] for item in waited["slices"]]
    assert report["key_slices"] == waited["key_slices"] != []
    for index in report["key_slices"]:
        image = await batch.chain.client.get(f"{address}/series/{number}/slices/{index}/image")
        assert image.headers["content-type"] == "image/png"
        assert image.content == base64.b64decode(waited["slices"][index]["image"])
    return report


async def test_a_job_keeps_maps_and_pictures(batch: Batch) -> None:
    address = await batch.send(
        {**series(0, 3), **series(1, 3)}, blood=True, key_images=True, operating_point="sensitive"
    )
    assert await problem(batch, f"{address}/series/0/blood") == (404, "no_report", _NO_REPORT)
    await batch.work()
    for number in range(2):
        report = await check_results(batch, address, number)
        assert all(item["image"] is None for item in report["slices"])
    status, code, detail = await problem(batch, f"{address}/series/0/slices/99/image")
    assert (status, code) == (404, "no_picture")
    assert "slice 99" in detail
    assert (await problem(batch, f"{address}/series/7/blood"))[1] == "no_report"
    for path in (f"series/{'9' * 400}/blood", f"series/0/slices/{'9' * 400}/image", "series/-1/blood"):
        assert (await batch.chain.client.get(f"{address}/{path}")).status_code in (400, 404)
    await batch.chain.client.delete(address)
    assert (await problem(batch, f"{address}/series/0/blood"))[1] == "not_found"


async def test_what_a_job_does_not_keep_is_said_by_name(batch: Batch) -> None:
    plain = await batch.send(series(0, 3), blood=False)
    refused = await batch.send(series(1, 3, BodyPartExamined="FOOT"), blood=True, key_images=True)
    await batch.work()
    assert await problem(batch, f"{plain}/series/0/blood") == (
        404,
        "no_blood_map",
        "the job keeps no blood maps; send the files in a new job with blood=true",
    )
    assert (await problem(batch, f"{refused}/series/0/blood"))[1:] == (
        "no_blood_map",
        "the series is not assessed, so there is no map",
    )


async def test_maps_are_kept_where_a_request_says_nothing(batch: Batch) -> None:
    address = await batch.send(series(0, 3), source="batch")
    await batch.work()
    assert (await batch.chain.client.get(f"{address}/series/0/blood")).status_code == 200
    assert batch.store.jobs("anybody")[0].source() == "batch"


async def test_a_key_belongs_to_one_choice_of_what_is_kept(batch: Batch) -> None:
    async def send(**query: Any) -> httpx.Response:
        parts = [("files", (name, content)) for name, content in series(0).items()]
        headers = {"idempotency-key": "one"}
        return await batch.chain.client.post("/v1/jobs", files=parts, params=query, headers=headers)

    first, again, other = await send(blood=True), await send(blood=True), await send(blood=False, key_images=True)
    assert (first.status_code, again.headers["location"]) == (202, first.headers["location"])
    assert other.status_code == 409
    assert [item["what"] for item in other.json()["differences"]] == ["blood", "key_images"]


_NO_REPORT = "series 0 of this job has no report yet, or the job has no such series; both count from 0"
