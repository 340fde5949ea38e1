"""Webhooks over real HTTP."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from services.gateway.jobs.job import Job
from services.gateway.jobs.retry_policy import RetryPolicy
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.webhook_delivery import Outbox, WebhookDeliverer
from services.gateway.jobs.webhook_signature import sign_webhook
from services.gateway.settings import Settings
from tests.gateway.jobs.factories import job_of
from tests.receiver import Receiver, receiving

pytestmark = pytest.mark.anyio
SECRET = bytes(range(32))
SENDER = "one"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def outbox(store: JobStore) -> Outbox:
    return Outbox(store.storage)


@pytest.fixture
def job(store: JobStore, tmp_path: Path, outbox: Outbox, receiver: Receiver) -> Job:
    """A job with a pending webhook."""
    job = job_of(store, tmp_path, sender=SENDER)
    outbox.add(SENDER, job.id, f"{receiver.url}/hook?key=1")
    return job


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def _deliverer(
    store: JobStore, outbox: Outbox, *, give_up_s: float = 60.0, first_delay_s: float = 0.0
) -> WebhookDeliverer:
    return WebhookDeliverer(outbox, store, SECRET, RetryPolicy(first_delay_s, give_up_s))


async def test_a_signed_message_is_delivered_once_after_the_end(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    deliverer = _deliverer(store, outbox)
    await deliverer.deliver_due(client)
    assert receiver.received == []

    store.close(job, "routine", "finished")
    await deliverer.deliver_due(client)
    await deliverer.deliver_due(client)

    (request,) = receiver.received
    assert request.path == "/hook?key=1"
    assert json.loads(request.body)["job"] == job.id
    timestamp = int(request.headers["webhook-timestamp"])
    expected = sign_webhook(SECRET, request.headers["webhook-id"], timestamp, request.body)
    assert request.headers["webhook-signature"] == expected
    assert list(outbox) == []


@pytest.mark.parametrize("status", [500, 404, 302, 307])
async def test_a_failed_delivery_is_retried_also_by_another_process(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: httpx.AsyncClient, *, status: int
) -> None:
    receiver.statuses = [status, status]
    store.close(job, "routine", "finished")
    await _deliverer(store, outbox).deliver_due(client)
    after_a_crash = _deliverer(store, outbox)
    for _ in range(3):
        await after_a_crash.deliver_due(client)

    assert {request.path for request in receiver.received} == {"/hook?key=1"}, "no redirect is followed"
    assert len(receiver.received) == 3
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert list(outbox) == []


async def test_a_retry_waits_for_its_delay(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    receiver.statuses = [500]
    store.close(job, "routine", "finished")
    deliverer = _deliverer(store, outbox, first_delay_s=3600)
    await deliverer.deliver_due(client)
    await deliverer.deliver_due(client)
    assert len(receiver.received) == 1
    assert [delivery.job_id for delivery in outbox] == [job.id]


async def test_a_delivery_stays_pending_without_a_receiver(
    store: JobStore, job: Job, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    other = Outbox(LocalStorage(tmp_path / "other"))
    other.add(SENDER, job.id, "http://127.0.0.1:9/")
    store.close(job, "routine", "finished")
    await _deliverer(store, other).deliver_due(client)
    assert [delivery.job_id for delivery in other] == [job.id]


@pytest.mark.parametrize(("status", "give_up_s"), [(500, 0.0), (410, 60.0)], ids=["too late", "gone"])
async def test_a_delivery_is_given_up_after_its_time_or_410(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, *, status: int, give_up_s: float
) -> None:
    receiver.statuses = [status]
    store.close(job, "routine", "failed")
    async with httpx.AsyncClient() as client:
        await _deliverer(store, outbox, give_up_s=give_up_s).deliver_due(client)
    assert len(receiver.received) == 1
    assert list(outbox) == []


async def test_the_delivery_of_a_deleted_job_is_dropped(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    store.close(job, "routine", "finished")
    job.remove()
    await _deliverer(store, outbox).deliver_due(client)
    assert receiver.received == []
    assert list(outbox) == []


def test_allowed_webhooks_without_a_secret_stop_the_start() -> None:
    with pytest.raises(ValidationError, match="webhook_secret_file"):
        Settings(webhooks_allowed=("https://pacs.example.org/hooks",))
