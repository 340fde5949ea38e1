"""Jobs that an older build of version 0.2.0 stored are finished and served.

`stored/0.2.0` holds the jobs folder and all Redis keys that a gateway and a worker of that build left at SIGKILL:
a finished job, a job with one of three series reported and one in work, and a job that no worker had begun.
`answers.json` holds the answers of that build about the finished job.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from redis import Redis

from services.gateway.app import create_app
from services.gateway.jobs.ticket_call import parse_call
from services.gateway.settings import Settings
from services.gateway.stages.stage_client import connect_all
from tests.contracts.conftest import MeanExtractor, stage_apps
from tests.receiver import Receiver, receiving
from tests.redis_process import redis_url
from tests.running import ROOT, free_ports

pytestmark = pytest.mark.anyio
STORED: Final = Path(__file__).parent / "stored/0.2.0"
ANSWERS: Final = json.loads((STORED / "answers.json").read_text())
FINISHED, HALF, ACCEPTED = (ANSWERS["jobs"][name] for name in ("finished", "half", "accepted"))
SECRET: Final = f"whsec_{base64.b64encode(bytes(32)).decode()}"
SHORT_TTL_S: Final = 600
NEVER_S: Final = 1e9  # about 30 years: no stored job is too old


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def restore(redis: Redis) -> None:
    """Write the stored keys, except those of a short time to live: the stored worker died long ago."""
    write: dict[str, Any] = {
        "string": redis.set,
        "hash": lambda key, value: redis.hset(key, mapping={name: _bytes(part) for name, part in value.items()}),
        "list": lambda key, value: redis.rpush(key, *value),
        "set": lambda key, value: redis.sadd(key, *value),
        "zset": lambda key, value: redis.zadd(key, dict(value)),
    }
    for key, stored in json.loads((STORED / "redis.json").read_text()).items():
        ttl_s = stored["ttl_s"]
        if ttl_s is None or ttl_s > SHORT_TTL_S:
            write[stored["type"]](key, stored["value"])


def _bytes(value: str) -> bytes:
    return value.encode("latin-1")


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application's address on a port of its own."""
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@dataclass
class Upgraded:
    """A gateway of this version on the stored folder and the stored Redis."""

    client: httpx.AsyncClient
    store: Path
    receiver: Receiver

    async def get(self, address: str) -> Any:
        return (await self.client.get(address)).json()

    async def ended(self, address: str) -> Any:
        for _ in range(500):
            if (document := await self.get(address))["ended"]:
                return document
            await anyio.sleep(0.2)
        raise TimeoutError(address)


@pytest.fixture
async def upgraded(redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Upgraded]:
    store = tmp_path / "jobs"
    shutil.copytree(STORED / "store", store)
    restore(redis)
    (tmp_path / "secret").write_text(SECRET)
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        (store / "hooks/anybody" / FINISHED.rpartition("/")[2]).write_text(f"{receiver.url}/hook?key=1")
        apps = stage_apps(tmp_path / "bundle", MeanExtractor())
        settings = {f"{name.upper()}_URL": stack.enter_context(served(app)) for name, app in apps.items()}
        settings |= {"REDIS_URL": redis_url(redis)}
        settings |= {"JOBS_DIR": str(store), "SPOOL_DIR": str(tmp_path / "spool"), "JOB_TTL_S": str(NEVER_S)}
        settings |= {"WEBHOOKS_ALLOWED": json.dumps([receiver.url]), "WEBHOOK_SECRET_FILE": str(tmp_path / "secret")}
        settings |= {"WEBHOOK_PATIENCE_S": str(NEVER_S)}
        for name, value in settings.items():
            monkeypatch.setenv(f"ICH_GATEWAY_{name}", value)
        read = Settings.read()
        gateway = create_app(connect_all(read), read)
        async with (
            gateway.router.lifespan_context(gateway),
            httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://localhost") as client,
        ):
            yield Upgraded(client, store, receiver)


@pytest.fixture
def with_worker(upgraded: Upgraded) -> Iterator[Upgraded]:
    """And a worker of this version."""
    command = [sys.executable, "-m", "services.gateway.jobs.worker"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, stderr=subprocess.DEVNULL) as process:
        yield upgraded
        process.terminate()


async def test_jobs_accepted_by_0_2_0_are_finished_with_one_report_a_series(
    with_worker: Upgraded, redis: Redis
) -> None:
    upgraded = with_worker
    half, accepted = await upgraded.ended(HALF), await upgraded.ended(ACCEPTED)
    assert [(job["status"], job["counts"]["assessed"]) for job in (half, accepted)] == [
        ("finished", 3),
        ("finished", 1),
    ]
    reports = (await upgraded.get(f"{HALF}/reports"))["reports"]
    stored = json.loads((STORED / f"store/jobs/anybody/{HALF.rpartition('/')[2]}/reports/000000.json").read_text())
    assert reports[0] == stored
    assert [report["series"]["series_instance_uid"] for report in reports] == ["2.25.9.4", "2.25.9.5", "2.25.9.6"]
    assert {report["thresholds"]["operating_point"] for report in reports} == {"sensitive"}
    assert redis.hgetall("ich:outcomes") == {b"assessed": b"5", b"not_assessed": b"1", b"failed": b"1"}
    assert redis.keys("ich:tries:*") == []


async def test_answers_about_a_finished_job_of_0_2_0_are_the_same(upgraded: Upgraded) -> None:
    document = await upgraded.get(FINISHED)
    for found in (document, ANSWERS["document"]):
        found["warnings"] = [warning["code"] for warning in found["warnings"]]
    assert document == {**ANSWERS["document"], "source": None}
    for name, kind in (("ndjson", "application/x-ndjson"), ("csv", "text/csv")):
        assert (await upgraded.client.get(f"{FINISHED}/reports", headers={"accept": kind})).text == ANSWERS[name]


async def test_an_idempotency_key_of_0_2_0_gives_its_job(upgraded: Upgraded) -> None:
    folder = upgraded.store / "jobs/anybody" / ACCEPTED.rpartition("/")[2]
    stored = map(json.loads, (folder / "manifest.jsonl").read_text().splitlines()[1:])
    files = [("files", (line["name"], (folder / "files" / line["number"]).read_bytes())) for line in stored]
    answer = await upgraded.client.post("/v1/jobs", files=files, headers={"idempotency-key": "accepted"})
    assert (answer.status_code, answer.headers["location"]) == (202, ACCEPTED)


async def test_a_webhook_that_0_2_0_did_not_deliver_is_delivered(upgraded: Upgraded) -> None:
    for _ in range(200):
        if upgraded.receiver.received:
            break
        await anyio.sleep(0.1)
    (request,) = upgraded.receiver.received
    assert request.path == "/hook?key=1"
    assert request.headers["webhook-id"] == f"msg_{FINISHED.rpartition('/')[2]}"
    assert json.loads(request.body)["counts"] == ANSWERS["document"]["counts"]


def test_calls_that_0_2_0_queued_are_still_run(redis: Redis) -> None:
    """Redis holds a function's path; a worker drops a call of another, which delays the series."""
    restore(redis)
    names = [str(key, "ascii").rpartition(":")[2] for key in redis.keys("rq:job:*") if isinstance(key, bytes)]
    stored = {name: redis.hget(f"rq:job:{name}", "data") for name in names}
    calls = [parse_call(data, name, lanes=8) for name, data in stored.items() if isinstance(data, bytes)]
    assert len(calls) == 3
    assert {call.sender for call in calls} == {"anybody"}
