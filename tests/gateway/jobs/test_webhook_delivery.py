"""Webhooks over real HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.common.retry_policy import RetryPolicy
from services.gateway.jobs.job import Job
from services.gateway.jobs.outbox import Outbox
from services.gateway.jobs.retention import Retention, RetentionClock
from services.gateway.jobs.storage import LocalStorage, Storage
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.webhook_client import WebhookClient
from services.gateway.jobs.webhook_delivery import ATTEMPTS_AT_ONCE, MAX_LOOKS, WebhookDeliverer
from services.gateway.jobs.webhook_signature import sign_webhook
from services.gateway.settings import Settings
from tests.gateway.jobs.factories import job_of
from tests.receiver import Receiver, receiving
from tests.slow_receiver import drip, serving

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
async def client() -> AsyncIterator[WebhookClient]:
    client = WebhookClient()
    yield client
    await client.close()


def _deliverer(
    store: JobStore, outbox: Outbox, *, give_up_s: float = 60.0, first_delay_s: float = 0.0
) -> WebhookDeliverer:
    retention = Retention(store, RetentionClock(store.storage), ttl_s=3600)
    return WebhookDeliverer(outbox, store, retention, SECRET, RetryPolicy(first_delay_s, give_up_s))


async def _deliver(deliverer: WebhookDeliverer, client: WebhookClient) -> None:
    """One round, with its attempts."""
    await asyncio.gather(*await deliverer.start_due(client))


async def test_a_signed_message_is_delivered_once_after_the_end(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: WebhookClient
) -> None:
    deliverer = _deliverer(store, outbox)
    await _deliver(deliverer, client)
    assert receiver.received == []

    store.close(job, "routine", "finished")
    await _deliver(deliverer, client)
    await _deliver(deliverer, client)

    (request,) = receiver.received
    assert request.path == "/hook?key=1"
    assert json.loads(request.body)["job"] == job.id
    timestamp = int(request.headers["webhook-timestamp"])
    expected = sign_webhook(SECRET, request.headers["webhook-id"], timestamp, request.body)
    assert request.headers["webhook-signature"] == expected
    assert outbox.of_sender(SENDER) == []


class OtherHolder:
    """The lease of a gateway, while another one holds it."""

    def term(self) -> int | None:
        return None


async def test_the_holder_of_the_lease_delivers_and_stops_when_it_loses_it(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: WebhookClient
) -> None:
    store.close(job, "routine", "finished")
    deliverer, lease, hanging = _deliverer(store, outbox), store.lease, asyncio.Event()
    store.lease = OtherHolder()
    assert await deliverer.start_due(client) == []

    class HangingClient(WebhookClient):
        async def post(self, *_: object) -> int:
            hanging.set()
            await asyncio.Event().wait()
            raise AssertionError

    store.lease = lease
    (attempt,) = await deliverer.start_due(HangingClient())
    await hanging.wait()
    store.lease = OtherHolder()
    await deliverer.start_due(client)
    await asyncio.wait([attempt])
    assert attempt.cancelled()
    assert (receiver.received, len(outbox.of_sender(SENDER))) == ([], 1)


@pytest.mark.parametrize("status", [500, 404, 302, 307])
async def test_a_failed_delivery_is_retried_also_by_another_process(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: WebhookClient, *, status: int
) -> None:
    receiver.statuses = [status, status]
    store.close(job, "routine", "finished")
    await _deliver(_deliverer(store, outbox), client)
    after_a_crash = _deliverer(store, outbox)
    for _ in range(3):
        await _deliver(after_a_crash, client)

    assert {request.path for request in receiver.received} == {"/hook?key=1"}, "no redirect is followed"
    assert len(receiver.received) == 3
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert outbox.of_sender(SENDER) == []


async def test_a_retry_waits_for_its_delay(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: WebhookClient
) -> None:
    receiver.statuses = [500]
    store.close(job, "routine", "finished")
    deliverer = _deliverer(store, outbox, first_delay_s=3600)
    await _deliver(deliverer, client)
    await _deliver(deliverer, client)
    assert len(receiver.received) == 1
    assert [delivery.job_id for delivery in outbox.of_sender(SENDER)] == [job.id]


async def test_a_delivery_stays_pending_without_a_receiver(
    store: JobStore, job: Job, client: WebhookClient, tmp_path: Path
) -> None:
    other = Outbox(LocalStorage(tmp_path / "other"))
    other.add(SENDER, job.id, "http://127.0.0.1:9/")
    store.close(job, "routine", "finished")
    await _deliver(_deliverer(store, other), client)
    assert [delivery.job_id for delivery in other.of_sender(SENDER)] == [job.id]


async def test_a_delivery_is_given_up_after_its_time(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: WebhookClient
) -> None:
    receiver.statuses = [500]
    store.close(job, "routine", "failed")
    await _deliver(_deliverer(store, outbox, give_up_s=0.0), client)
    assert len(receiver.received) == 1
    assert outbox.of_sender(SENDER) == []


async def test_a_wrong_time_in_the_job_gives_no_delivery_up(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: WebhookClient
) -> None:
    receiver.statuses = [500]
    store.storage.create(f"{job.key}/ended.json", b'{"status": "finished", "at": "2001-01-01T00:00:00.000Z"}')
    await _deliver(_deliverer(store, outbox, give_up_s=600.0), client)
    assert len(outbox.of_sender(SENDER)) == 1


async def test_a_delivery_ends_with_410(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: WebhookClient
) -> None:
    receiver.statuses = [410]
    store.close(job, "routine", "failed")
    await _deliver(_deliverer(store, outbox), client)
    assert outbox.of_sender(SENDER) == []


async def test_the_delivery_of_a_deleted_job_is_dropped(
    store: JobStore, outbox: Outbox, job: Job, receiver: Receiver, client: WebhookClient
) -> None:
    store.close(job, "routine", "finished")
    job.remove()
    await _deliver(_deliverer(store, outbox), client)
    assert receiver.received == []
    assert outbox.of_sender(SENDER) == []


def test_allowed_webhooks_without_a_secret_stop_the_start() -> None:
    with pytest.raises(ValidationError, match="webhook_secret_file"):
        Settings(webhooks_allowed=("https://pacs.example.org/hooks",))


def _ended_jobs(store: JobStore, folder: Path, outbox: Outbox, sender: str, address: str, count: int) -> None:
    for _ in range(count):
        job = job_of(store, folder, sender=sender)
        outbox.add(sender, job.id, address)
        store.close(job, "routine", "finished")


async def test_a_receiver_that_never_answers_delays_no_other(
    store: JobStore, tmp_path: Path, outbox: Outbox, receiver: Receiver
) -> None:
    """One that sent its headers byte by byte stopped all deliveries, of all senders, for good."""
    with serving(drip) as slow:
        _ended_jobs(store, tmp_path, outbox, "slow", f"{slow}/", 20)
        _ended_jobs(store, tmp_path, outbox, "one", f"{receiver.url}/", 3)
        _ended_jobs(store, tmp_path, outbox, "slow", f"{receiver.url}/its-other", 1)
        begin = time.monotonic()
        async with _deliverer(store, outbox).running():
            while outbox.of_sender("one") or len(outbox.of_sender("slow")) > 20:
                assert time.monotonic() < begin + 60
                await asyncio.sleep(0.05)
        assert len(receiver.received) == 4


async def test_a_receiver_has_a_few_attempts_at_a_time(
    store: JobStore, tmp_path: Path, outbox: Outbox, client: WebhookClient
) -> None:
    with serving(drip) as slow:
        _ended_jobs(store, tmp_path, outbox, "slow", f"{slow}/", 10)
        deliverer = _deliverer(store, outbox)
        started = await deliverer.start_due(client)
        assert len(started) == ATTEMPTS_AT_ONCE
        assert await deliverer.start_due(client) == []
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)
        again = await deliverer.start_due(client)
        assert len(again) == ATTEMPTS_AT_ONCE, "an ended attempt makes room for another"
        for task in again:
            task.cancel()
        await asyncio.gather(*again, return_exceptions=True)


async def test_jobs_that_do_not_end_hide_no_later_ones(
    store: JobStore, tmp_path: Path, outbox: Outbox, receiver: Receiver, client: WebhookClient
) -> None:
    for number in range(MAX_LOOKS + 5):
        store.storage.create(f"jobs/{SENDER}/{number:028x}/manifest.jsonl", b"{}")
        outbox.add(SENDER, f"{number:028x}", f"{receiver.url}/")
    _ended_jobs(store, tmp_path, outbox, SENDER, f"{receiver.url}/", 1)
    deliverer = _deliverer(store, outbox)
    for _ in range(2):
        await _deliver(deliverer, client)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("damaged", [b"", b"\xff\xfe", b"file:///etc/passwd"])
async def test_a_damaged_address_is_dropped_and_stops_no_other(
    store: JobStore, tmp_path: Path, outbox: Outbox, receiver: Receiver, client: WebhookClient, *, damaged: bytes
) -> None:
    _ended_jobs(store, tmp_path, outbox, SENDER, f"{receiver.url}/", 1)
    other = job_of(store, tmp_path, sender=SENDER)
    store.storage.create(f"hooks/{SENDER}/{other.id}", damaged)
    store.close(other, "routine", "finished")
    await _deliver(_deliverer(store, outbox), client)
    assert len(receiver.received) == 1
    assert outbox.of_sender(SENDER) == []


class FailingOutbox(Outbox):
    """An outbox whose storage fails for some rounds."""

    def __init__(self, storage: Storage, errors: list[Exception]) -> None:
        super().__init__(storage)
        self.errors = errors

    def senders(self) -> list[str]:
        if self.errors:
            raise self.errors.pop()
        return super().senders()


async def test_a_round_that_fails_stops_no_later_one(
    store: JobStore, tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = FailingOutbox(store.storage, [OSError(5, "broken"), RuntimeError("CANARY")])
    _ended_jobs(store, tmp_path, outbox, SENDER, f"{receiver.url}/", 1)
    begin = time.monotonic()
    async with _deliverer(store, outbox).running():
        while not receiver.received:
            assert time.monotonic() < begin + 60
            await asyncio.sleep(0.05)
    assert "pending webhooks cannot be read" in caplog.text
    assert "pending webhooks cannot be delivered" in caplog.text
