"""Webhooks over real HTTP: told once the job has ended, until they are taken."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from services.gateway.jobs.job import Job
from services.gateway.jobs.retry_policy import RetryPolicy
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.jobs.webhook_delivery import Outbox, WebhookDeliverer
from services.gateway.jobs.webhook_signature import sign_webhook
from services.gateway.settings import Settings
from services.gateway.spool import SpoolFolder
from tests.contracts.conftest import Chain
from tests.receiver import Receiver, receiving

pytestmark = pytest.mark.anyio
SECRET = bytes(range(32))
SENDER = "one"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    store = JobStore.at(tmp_path)
    store.recover()
    return store


@pytest.fixture
def outbox(store: JobStore) -> Outbox:
    return Outbox(store.storage)


@pytest.fixture
def job(store: JobStore, tmp_path: Path, outbox: Outbox, receiver: Receiver) -> Job:
    """A job whose end is to be told."""
    (tmp_path / "new").mkdir()
    job, _ = store.accept(SpoolFolder(tmp_path / "new"), [], JobOptions(SENDER, "routine", "default"))
    outbox.add(SENDER, job.id, f"{receiver.url}/hook?key=1")
    return job


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def _deliverer(
    store: JobStore, outbox: Outbox, *, give_up_s: float = 60.0, first_delay_s: float = 0.0
) -> WebhookDeliverer:
    return WebhookDeliverer(outbox, store, SECRET, RetryPolicy(give_up_s=give_up_s, first_delay_s=first_delay_s))


async def test_the_end_is_told_once_and_signed(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    deliverer = _deliverer(store, outbox)
    await deliverer.deliver_due(client)
    assert receiver.received == []

    store.close(job, "routine", "finished")
    await deliverer.deliver_due(client)
    await deliverer.deliver_due(client)

    (told,) = receiver.received
    assert told.path == "/hook?key=1"
    assert json.loads(told.body)["job"] == job.id
    stamp = int(told.headers["webhook-timestamp"])
    expected = sign_webhook(SECRET, told.headers["webhook-id"], stamp, told.body)
    assert told.headers["webhook-signature"] == expected
    assert list(outbox) == []


@pytest.mark.parametrize("status", [500, 404, 302, 307])
async def test_what_is_not_taken_is_told_again_by_another_process_too(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: httpx.AsyncClient, *, status: int
) -> None:
    receiver.statuses = [status, status]
    store.close(job, "routine", "finished")
    await _deliverer(store, outbox).deliver_due(client)
    after_a_crash = _deliverer(store, outbox)
    for _ in range(3):
        await after_a_crash.deliver_due(client)

    assert {told.path for told in receiver.received} == {"/hook?key=1"}, "no redirect is followed"
    assert len(receiver.received) == 3
    assert len({told.headers["webhook-id"] for told in receiver.received}) == 1
    assert list(outbox) == []


async def test_it_waits_before_it_tells_again(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    receiver.statuses = [500]
    store.close(job, "routine", "finished")
    deliverer = _deliverer(store, outbox, first_delay_s=3600)
    await deliverer.deliver_due(client)
    await deliverer.deliver_due(client)
    assert len(receiver.received) == 1
    assert [hook.job_id for hook in outbox] == [job.id]


async def test_nobody_there_is_no_end(store: JobStore, job: Job, client: httpx.AsyncClient, tmp_path: Path) -> None:
    other = Outbox(LocalStorage(tmp_path / "other"))
    other.add(SENDER, job.id, "http://127.0.0.1:9/")
    store.close(job, "routine", "finished")
    await _deliverer(store, other).deliver_due(client)
    assert [hook.job_id for hook in other] == [job.id]


@pytest.mark.parametrize(("status", "give_up_s"), [(500, 0.0), (410, 60.0)], ids=["too late", "gone"])
async def test_it_is_given_up_in_the_end(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, *, status: int, give_up_s: float
) -> None:
    receiver.statuses = [status]
    store.close(job, "routine", "failed")
    async with httpx.AsyncClient() as client:
        await _deliverer(store, outbox, give_up_s=give_up_s).deliver_due(client)
    assert len(receiver.received) == 1
    assert list(outbox) == []


async def test_a_forgotten_job_is_not_told(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    store.close(job, "routine", "finished")
    job.remove()
    await _deliverer(store, outbox).deliver_due(client)
    assert receiver.received == []
    assert list(outbox) == []


async def test_an_address_that_is_not_allowed_is_refused_before_anything_is_received(chain: Chain) -> None:
    query = {"webhook": "http://169.254.169.254/latest"}
    answer = await chain.client.post("/v1/jobs", params=query, files=[("files", ("x.dcm", b"x"))])
    assert (answer.status_code, answer.json()["code"]) == (400, "webhook_refused")


def test_allowed_webhooks_without_a_secret_stop_the_start() -> None:
    with pytest.raises(ValidationError, match="webhook_secret_file"):
        Settings(webhooks_allowed=("https://pacs.example.org/hooks",))
