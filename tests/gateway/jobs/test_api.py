"""Routes of jobs with a real Redis and no stages; tests write plans and reports themselves."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from redis import Redis

from services.gateway.app import create_app
from services.gateway.jobs.job import Job
from services.gateway.jobs.schemas import JobDocument, JobPage, ReportPage
from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from services.gateway.stages.stage_client import Stages, connect
from tests.gateway.jobs.factories import job_of_0_1_0, plan_of, report_of
from tests.redis_process import redis_url
from tests.running import free_ports

pytestmark = pytest.mark.anyio

KEYS = {"ann": "a-key-of-anns-0001", "bob": "a-key-of-bobs-0001"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(redis: Redis, tmp_path: Path) -> Settings:
    keys = tmp_path / "senders"
    keys.write_text("\n".join(f"{sender} {key}" for sender, key in KEYS.items()))
    return Settings(
        spool_dir=tmp_path / "spool",
        jobs_dir=tmp_path / "store",
        redis_url=redis_url(redis),
        senders_file=keys,
        max_job_files=20,
    )


def app_of(settings: Settings) -> FastAPI:
    stages = {name: connect(name, "http://127.0.0.1:9", 0.2, 0.2) for name in ("preprocess", "cnn", "rnn")}
    return create_app(Stages(**stages), settings)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(settings)
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


def client_of(app: FastAPI, sender: str = "ann") -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {KEYS[sender]}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers, timeout=60
    )


async def send(client: httpx.AsyncClient, count: int = 1, key: str | None = None, **query: Any) -> httpx.Response:
    files = [("files", (f"{number}.dcm", b"%d" % number)) for number in range(count)]
    headers = {"idempotency-key": key} if key else {}
    return await client.post("/v1/jobs", files=files, params=query, headers=headers)


async def planned_job(client: httpx.AsyncClient, store: JobStore, count: int = 1, **query: Any) -> Job:
    """A planned job."""
    job = store.job("ann", (await send(client, count, **query)).json()["id"])
    job.create_plan(*plan_of(count))
    return job


async def test_a_job_is_accepted_with_its_address(client: httpx.AsyncClient, store: JobStore, redis: Redis) -> None:
    answer = await send(client, 2, priority="urgent")
    document = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{document['id']}"
    assert (document["status"], document["priority"], document["files"]) == ("queued", "urgent", 2)
    assert [job.id for job in store.open_jobs("urgent", "ann")] == [document["id"]]
    assert redis.llen("rq:queue:ich-urgent") == 1
    assert (await client.get(answer.headers["location"])).json() == document


async def test_an_idempotency_key_is_honoured(client: httpx.AsyncClient) -> None:
    first, again = await send(client, 2, "k"), await send(client, 2, "k")
    assert first.json()["id"] == again.json()["id"]
    assert again.status_code == 202
    other = await send(client, 1, "k")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert other.json()["differences"] == [{"what": "files"}]
    urgent = await send(client, 2, "k", priority="urgent")
    assert urgent.status_code == 409
    assert urgent.json()["differences"] == [{"what": "priority", "first": "routine", "now": "urgent"}]
    assert len((await client.get("/v1/jobs")).json()["jobs"]) == 1


async def test_concurrent_requests_with_one_key_are_one_job(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(send(client, 3, "k") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await client.get("/v1/jobs")).json()["jobs"]) == 1


async def test_a_sender_sees_its_own_jobs_only(client: httpx.AsyncClient, settings: Settings) -> None:
    address = (await send(client)).headers["location"]
    async with client_of(app_of(settings), "bob") as bob:
        paths = "", "/reports", "/events", "/series/0/blood", "/series/0/slices/0/image"
        for method, path in (*(("GET", path) for path in paths), ("DELETE", "")):
            answer = await bob.request(method, address + path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert (await bob.get("/v1/jobs")).json()["jobs"] == []
    assert (await client.get(address)).status_code == 200


async def test_a_request_without_a_key_is_401(client: httpx.AsyncClient) -> None:
    client.headers.pop("authorization")
    for answer in (await send(client), await client.get("/v1/jobs"), await client.post("/v1/predictions")):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_priority_is_changed(client: httpx.AsyncClient) -> None:
    address = (await send(client)).headers["location"]
    for priority in ("urgent", "urgent", "routine"):
        answer = await client.patch(address, json={"priority": priority})
        assert (answer.status_code, answer.json()["priority"]) == (200, priority)
        assert (await client.get(address)).json()["priority"] == priority
    await client.delete(address)
    ended = await client.patch(address, json={"priority": "urgent"})
    assert (ended.status_code, ended.json()["code"]) == (409, "job_ended")
    assert (await client.patch("/v1/jobs/none", json={"priority": "urgent"})).status_code == 404


@pytest.mark.parametrize(
    ("body", "media_type", "status", "detail"),
    [
        (b'{"priority": "now"}', "application/json", 400, "body.priority: Input should be 'urgent' or 'routine'"),
        (b'{"priority": "urgent", "Doe^Jane": 1}', "application/json; charset=utf-8", 400, "body: a member is unknown"),
        (b"{", "application/json", 400, "body: Invalid JSON"),
        (b'{"priority": "urgent"}', "text/plain", 415, "Content-Type: application/json"),
        (b" " * 20_000, "application/json", 413, "16384 bytes"),
    ],
)
async def test_a_change_of_another_form_is_refused(
    client: httpx.AsyncClient, body: bytes, media_type: str, status: int, detail: str
) -> None:
    address = (await send(client)).headers["location"]
    answer = await client.patch(address, content=body, headers={"content-type": media_type})
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    assert "Doe" not in answer.text
    assert (await client.get(address)).json()["priority"] == "routine"


async def test_list_jobs_has_pages_and_a_status_filter(client: httpx.AsyncClient, store: JobStore) -> None:
    jobs = [await planned_job(client, store) for _ in range(5)]
    for job in jobs[:3]:
        store.close(job, "routine", "finished")
    seen, page = [], "/v1/jobs?limit=2&status=finished"
    while page:
        answer = (await client.get(page)).json()
        seen += [job["id"] for job in answer["jobs"]]
        page = answer["next"]
    assert seen == [job.id for job in reversed(jobs[:3])]
    assert [job["id"] for job in (await client.get("/v1/jobs?status=running")).json()["jobs"]] == [
        job.id for job in reversed(jobs[3:])
    ]
    assert (await client.get("/v1/jobs?status=sleeping")).status_code == 400


async def test_reports_as_json_pages_ndjson_and_csv(client: httpx.AsyncClient, store: JobStore) -> None:
    job = await planned_job(client, store, 3)
    for number in range(3):
        job.create_report(number, report_of("assessed", number))
    address = f"/v1/jobs/{job.id}/reports"
    first = (await client.get(address, params={"limit": 2})).json()
    rest = (await client.get(first["next"])).json()
    assert [report["id"] for report in first["reports"] + rest["reports"]] == ["0", "1", "2"]
    assert rest["next"] is None
    lines = await client.get(address, headers={"accept": "application/x-ndjson"})
    assert [json.loads(line)["id"] for line in lines.text.splitlines()] == ["0", "1", "2"]
    rows = await client.get(address, headers={"accept": "text/csv"})
    assert [row["series"] for row in csv.DictReader(io.StringIO(rows.text))] == ["1", "2", "3"]
    assert rows.headers["content-type"].startswith("text/csv")


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/csv"])
async def test_limit_applies_to_every_media_type(client: httpx.AsyncClient, store: JobStore, accept: str) -> None:
    job = await planned_job(client, store, 3)
    for number in range(3):
        job.create_report(number, report_of("assessed", number))
    for query, count in (({}, 3), ({"limit": 2}, 2), ({"after": 1, "limit": 2}, 1)):
        answer = await client.get(f"/v1/jobs/{job.id}/reports", params=query, headers={"accept": accept})
        assert len(answer.text.splitlines()) == count + (accept == "text/csv")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("application/json;q=0.2, text/csv;q=0.9", "text/csv; charset=utf-8"),
        ("application/x-ndjson, */*;q=0.1", "application/x-ndjson"),
        ("application/json;q=0, text/*", "text/csv; charset=utf-8"),
        ("text/html", None),
        ("application/json;q=0", None),
    ],
)
async def test_reports_have_the_media_type_that_accept_prefers(
    client: httpx.AsyncClient, store: JobStore, accept: str, kind: str | None
) -> None:
    job = await planned_job(client, store)
    answer = await client.get(f"/v1/jobs/{job.id}/reports", headers={"accept": accept})
    if kind:
        assert answer.headers["content-type"] == kind
        assert "Accept" in answer.headers["vary"].split(", ")
    else:
        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
        assert "text/csv" in answer.json()["detail"]


async def test_head_and_unknown_parameters_below_a_job(client: httpx.AsyncClient, store: JobStore) -> None:
    job = await planned_job(client, store)
    for path, kind in (("", "json"), ("/reports", "json"), ("/events", "event-stream")):
        head = await asyncio.wait_for(client.head(f"/v1/jobs/{job.id}{path}"), 2)
        assert (head.status_code, head.content, head.headers["cache-control"]) == (200, b"", "no-store")
        assert kind in head.headers["content-type"]
        answer = await client.get(f"/v1/jobs/{job.id}{path}?limt=1")
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")
    near = await client.get(f"/v1/jobs/{job.id}/reports?limt=1")
    assert near.json()["detail"] == "unknown query parameter 'limt'; did you mean 'limit'?"


# As version 0.1.0 stored them.
OLD_REPORT = b"""{"id":"0198f00000000123456789abcdef-000000","status":"assessed","reasons":[{"code":"contrast","detail":
"A contrast agent is recorded.","severity":"warn"}],"series":{"study_instance_uid":"2.25.1",
"series_instance_uid":"2.25.2","slices":1,"probabilities":{"any":0.9,"epidural":0.1,"intraparenchymal":0.8,"intraventricular":0.1,"subarachnoid":0.1,
"subdural":0.1},"predictions":{"any":true,"epidural":false,"intraparenchymal":true,"intraventricular":false,
"subarachnoid":false,"subdural":false}},"slices":[{"index":0,"file":"0.dcm","sop_instance_uid":"2.25.3","position_mm":0.0,
"probabilities":null,"predictions":null,"image":null}],"findings":["any: present (0.90)"],"key_slices":[0],
"model":{"name":"default","sha256":"9f86d081884c7d65","recipe":"fcbe341fbbbc"},"thresholds":{"operating_point":"default",
"slice":{"any":0.5},"series":{"any":0.5}},"timings_ms":{"upload":0.0,"preprocess":4.2,"cnn":21.0,"rnn":1.5,"total":38.7},"disclaimer":"..."}"""
OLD_FAILURE = b"""{"id":"0198f00000000123456789abcdef-000001","status":"failed","series":{"study_instance_uid":"2.25.1",
"series_instance_uid":"2.25.4","slices":2},"problem":{"status":422,"code":"unusable_files"}}"""


async def test_a_job_of_version_0_1_0_is_served_in_every_media_type(
    client: httpx.AsyncClient, store: JobStore, tmp_path: Path
) -> None:
    found = {name: report.replace(b"\n", b"") for name, report in (("assessed", OLD_REPORT), ("failed", OLD_FAILURE))}
    job = job_of_0_1_0(store, tmp_path / "store", "0198f00000000123456789abcdef", found)
    document = JobDocument.model_validate((await client.get(f"/v1/jobs/{job.id}")).json())
    assert (document.series_present, document.series_with_warnings) == (1, 1)
    assert [(model.name, model.sha256, model.reports) for model in document.models] == [
        ("default", "9f86d081884c7d65", 1)
    ]
    assert JobPage.model_validate((await client.get("/v1/jobs")).json()).jobs == (document,)
    page = ReportPage.model_validate((await client.get(f"/v1/jobs/{job.id}/reports")).json())
    assert [(report.status, report.created, report.version) for report in page.reports] == [
        ("assessed", None, None),
        ("failed", None, None),
    ]
    lines = await client.get(f"/v1/jobs/{job.id}/reports", headers={"accept": "application/x-ndjson"})
    assert [json.loads(line)["status"] for line in lines.text.splitlines()] == ["assessed", "failed"]
    rows = await client.get(f"/v1/jobs/{job.id}/reports", headers={"accept": "text/csv"})
    assert [
        (row["series"], row["prediction_any"], row["warnings"], row["created"])
        for row in csv.DictReader(io.StringIO(rows.text))
    ] == [("1", "true", "1", ""), ("2", "", "0", "")]


async def test_events_report_each_change_until_the_end(client: httpx.AsyncClient, store: JobStore) -> None:
    job = await planned_job(client, store, 2)
    reading = asyncio.create_task(client.get(f"/v1/jobs/{job.id}/events"))
    await asyncio.sleep(0.2)
    for number in range(2):
        job.create_report(number, report_of("assessed"))
    store.close(job, "routine", "finished")
    events = [event.split("\ndata: ") for event in (await reading).text.strip().split("\n\n")]
    assert [name for name, _ in events][-1] == "event: end"
    done = [json.loads(data)["progress"]["series_done"] for _, data in events]
    assert done == sorted(done)
    assert done[-1] == 2


async def test_events_end_when_the_job_is_deleted(client: httpx.AsyncClient, store: JobStore) -> None:
    job = await planned_job(client, store)
    reading = asyncio.create_task(client.get(f"/v1/jobs/{job.id}/events"))
    await asyncio.sleep(0.2)
    job.remove()
    assert (await reading).text.endswith("event: gone\ndata: not_found\n\n")


async def test_delete_cancels_a_job_then_deletes_it(client: httpx.AsyncClient, store: JobStore, tmp_path: Path) -> None:
    job = await planned_job(client, store, 2)
    job.create_report(0, report_of("assessed"))
    address = f"/v1/jobs/{job.id}"
    cancelled = await client.delete(address)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["counts"]["assessed"] == 1
    assert [report["id"] for report in (await client.get(f"{address}/reports")).json()["reports"]] == ["0"]
    assert not (tmp_path / "store/jobs/ann" / job.id / "files").exists()
    assert (await client.delete(address)).status_code == 204
    assert (await client.get(address)).status_code == 404
    assert store.jobs("ann") == []


async def test_a_full_redis_refuses_jobs(client: httpx.AsyncClient, store: JobStore, redis: Redis) -> None:
    redis.config_set("maxmemory", "1")
    try:
        answer = await send(client, key="k")
    finally:
        redis.config_set("maxmemory", "256mb")
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
    assert answer.headers["retry-after"]
    assert store.jobs("ann") == []
    assert (await send(client, key="k")).status_code == 202


async def test_without_redis_jobs_are_refused_and_listed(client: httpx.AsyncClient, settings: Settings) -> None:
    address = (await send(client)).headers["location"]
    (port,) = free_ports(1)
    async with client_of(app_of(settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}"}))) as cut_off:
        answer = await send(cut_off)
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
        assert answer.headers["retry-after"]
        jobs = (await cut_off.get("/v1/jobs")).json()["jobs"]
        assert [job["id"] for job in jobs] == [address.rpartition("/")[2]]


async def test_a_webhook_that_is_not_allowed_is_refused(client: httpx.AsyncClient, store: JobStore) -> None:
    answer = await send(client, webhook="http://169.254.169.254/latest")
    assert (answer.status_code, answer.json()["code"]) == (400, "webhook_refused")
    assert store.jobs("ann") == []


@pytest.mark.parametrize(("files", "status", "code"), [([], 400, "unknown_field"), (["x"] * 21, 413, "too_large")])
async def test_a_refused_upload_leaves_no_files(
    client: httpx.AsyncClient, store: JobStore, tmp_path: Path, files: list[str], status: int, code: str
) -> None:
    parts: list[Any] = [("files", (name, b"x")) for name in files] or [("other", (None, b"x"))]
    answer = await client.post("/v1/jobs", files=parts)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert store.jobs("ann") == []
    assert list((tmp_path / "store/incoming").iterdir()) == []


async def test_a_disconnected_upload_leaves_no_files(settings: Settings, store: JobStore, tmp_path: Path) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.dcm"\r\n\r\n' + bytes(2_000_000)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": part, "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"multipart/form-data; boundary=b"),
        (b"authorization", b"Bearer " + KEYS["ann"].encode()),
    ]
    scope = {"type": "http", "method": "POST", "path": "/v1/jobs", "headers": headers, "query_string": b""}
    app = app_of(settings)
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    assert sent[0]["status"] == 499
    assert store.jobs("ann") == []
    assert list((tmp_path / "store/incoming").iterdir()) == []


async def test_openapi_declares_every_response(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert set(paths["/v1/jobs"]["post"]["responses"]) >= {"202", "400", "401", "409", "413", "415", "422", "503"}
    assert set(paths["/v1/jobs/{job_id}"]["delete"]["responses"]) >= {"200", "204", "401", "404"}
    assert "text/csv" in paths["/v1/jobs/{job_id}/reports"]["get"]["responses"]["200"]["content"]
