"""The job service where Redis or the disk fails in the middle of a request, over its routes."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI
from redis import Redis
from redis.exceptions import RedisError

from services.common.clients import ANONYMOUS
from services.common.identity.api_keys import ApiKeys
from services.common.identity.authentication import Identity, add_identity
from services.gateway.bundle import Bundles
from services.gateway.jobs.api import add_job_routes
from services.gateway.jobs.job_traces import JobTraces
from services.gateway.jobs.outbox import Outbox, PendingDelivery
from services.gateway.jobs.retention import Retention, RetentionClock
from services.gateway.jobs.rounds import Rounds
from services.gateway.jobs.scheduler import FairScheduler, QueueUnavailable
from services.gateway.jobs.schemas import Priority
from services.gateway.jobs.service import JobService
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.webhook_addresses import AllowedAddresses
from services.gateway.jobs.webhook_delivery import Webhooks
from services.gateway.quotas.job_quotas import JobQuotas
from services.gateway.quotas.limits import Limits, SenderLimits
from services.gateway.quotas.refusals import Refusals
from services.gateway.settings import Settings
from services.gateway.shares.upload_shares import Uploads
from services.gateway.stages.stage_client import Stages, connect
from services.gateway.uploads.spool import Spool, SpoolFull
from tests.gateway.jobs.factories import job_of

pytestmark = pytest.mark.anyio
WEBHOOK = "https://pacs.example.org/hooks"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class FailingScheduler(FairScheduler):
    """Loses Redis after `check_available`, while `failing` is set."""

    failing = False

    def schedule(self, priority: Priority, sender: str) -> None:
        if self.failing:
            raise RedisError
        super().schedule(priority, sender)

    def reconcile(self) -> bool:
        raise RedisError


class NoRoomForWebhooks(LocalStorage):
    def create(self, key: str, content: bytes) -> bool:
        if key.startswith("hooks/"):
            raise OSError(28, "no space")
        return super().create(key, content)


MakeService = Callable[..., JobService]


@pytest.fixture
def make_service(redis: Redis, tmp_path: Path) -> MakeService:
    def make(storage: type[LocalStorage] = LocalStorage) -> JobService:
        store = JobStore(storage(tmp_path / "store"), Spool(tmp_path / "incoming"))
        store.recover()
        stages = Stages(*(connect(name, "http://127.0.0.1:9", 0.2, 0.2) for name in ("preprocess", "cnn", "rnn")))
        return JobService(
            store,
            FailingScheduler(redis, store, 2),
            Webhooks(AllowedAddresses([WEBHOOK]), Outbox(store.storage), None),
            Retention(store, RetentionClock(store.storage), ttl_s=3600),
            Bundles(stages),
            Settings(),
            Uploads(Settings()),
            JobTraces(redis),
            JobQuotas(Limits(SenderLimits()), redis, store, Refusals()),
        )

    return make


def lose_redis(service: JobService) -> None:
    """Let every further `schedule` fail."""
    assert isinstance(service.scheduler, FailingScheduler)
    service.scheduler.failing = True


async def send(service: JobService, **query: Any) -> httpx.Response:
    """Send a job of one file with an idempotency key; problems are raised."""
    app = FastAPI()
    add_identity(app, Identity(ApiKeys(None)))
    add_job_routes(app, service)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        files = [("files", ("a.dcm", b"1"))]
        return await client.post("/v1/jobs", files=files, params=query, headers={"idempotency-key": "key"})


async def test_a_webhook_is_stored_with_its_job(make_service: MakeService) -> None:
    service = make_service()
    job_id = (await send(service, webhook=WEBHOOK)).json()["id"]
    assert service.webhooks.outbox.of_sender(ANONYMOUS) == [PendingDelivery(ANONYMOUS, job_id)]


async def test_a_new_job_that_cannot_be_scheduled_is_withdrawn(make_service: MakeService) -> None:
    service = make_service()
    lose_redis(service)
    with pytest.raises(QueueUnavailable):
        await send(service)
    assert service.store.jobs(ANONYMOUS) == []


async def test_a_repeated_request_is_accepted_without_redis(make_service: MakeService) -> None:
    service = make_service()
    first = await send(service)
    lose_redis(service)
    again = await send(service)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


async def test_a_job_whose_webhook_cannot_be_stored_is_withdrawn(make_service: MakeService) -> None:
    service = make_service(NoRoomForWebhooks)
    with pytest.raises(SpoolFull):
        await send(service, webhook=WEBHOOK)
    assert service.store.jobs(ANONYMOUS) == []


async def test_a_failing_redis_is_logged_and_the_service_runs_on(
    make_service: MakeService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with make_service().running():
        await anyio.sleep(0.1)
    assert [record.levelname for record in caplog.records if "Redis does not answer" in record.message] == ["WARNING"]
    assert "ICH_GATEWAY_SENDERS_FILE" in caplog.text


class MovingLease:
    """A lease whose term a test sets."""

    number: int | None = None

    def term(self) -> int | None:
        return self.number


async def test_only_the_holder_of_the_lease_reconciles_and_sweeps(
    make_service: MakeService, redis: Redis, tmp_path: Path
) -> None:
    service = make_service()
    store, lease = service.store, MovingLease()
    store.lease = lease
    retention = Retention(store, RetentionClock(store.storage), ttl_s=-1)
    sweep = replace(service, retention=retention).sweep
    rounds = Rounds(store, FairScheduler(redis, store, 2), retention, sweep)
    job_of(store, tmp_path)
    ended = job_of(store, tmp_path)
    store.close(ended, "routine", "finished")

    rounds.run()
    assert (ended.exists(), redis.keys("ich:lane:*")) == (True, [])
    lease.number = 7
    rounds.run()
    assert not ended.exists(), "the first round of a term sweeps"
    assert redis.keys("ich:lane:*") != []
