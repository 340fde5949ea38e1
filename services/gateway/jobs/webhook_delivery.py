"""Delivers webhooks at least once, with exponential backoff, also after a crash of the gateway.

hooks/<sender>/<job>    in the storage: the address of a pending delivery
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx
from anyio import to_thread

from services.common.problems import NotFound
from services.gateway.jobs.retry_policy import RetryPolicy
from services.gateway.jobs.schemas import JobDocument
from services.gateway.jobs.storage import Storage
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.views import job_document
from services.gateway.jobs.webhook_addresses import AllowedAddresses
from services.gateway.jobs.webhook_signature import read_secret, signed_message
from services.gateway.settings import Settings

log = logging.getLogger(__name__)
_FOLDER: Final = "hooks"
_FIRST_DELAY_S: Final = 5.0
_POLL_S: Final = 2.0
_TIMEOUT_S: Final = 10.0
_CONCURRENT_DELIVERIES: Final = 8


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """The webhook of a job, not yet delivered."""

    sender: str
    job_id: str

    @property
    def key(self) -> str:
        """Its key in the storage."""
        return f"{_FOLDER}/{self.sender}/{self.job_id}"


class Outbox:
    """Pending deliveries in the storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, sender: str, job_id: str, address: str) -> None:
        """Store the address of a job's webhook; OSError where the storage is full."""
        self._storage.create(PendingDelivery(sender, job_id).key, address.encode())

    def remove(self, delivery: PendingDelivery) -> None:
        """Forget a delivery that is done, or given up."""
        self._storage.remove(delivery.key)

    def address(self, delivery: PendingDelivery) -> str:
        """The address; FileNotFoundError where another gateway has delivered it."""
        return self._storage.get(delivery.key).decode()

    def __iter__(self) -> Iterator[PendingDelivery]:
        for sender in self._storage.names(_FOLDER):
            for job_id in self._storage.names(f"{_FOLDER}/{sender}"):
                yield PendingDelivery(sender, job_id)


class WebhookDeliverer:
    """Posts pending deliveries of ended jobs.

    Runs in the gateway, since workers reach the stages only. `retry.give_up_s` counts from the end of the job.
    """

    def __init__(self, outbox: Outbox, store: JobStore, secret: bytes, retry: RetryPolicy) -> None:
        self._outbox = outbox
        self._store = store
        self._secret = secret
        self._retry = retry
        self._failures: dict[PendingDelivery, tuple[int, float]] = {}  # number, and monotonic time of the next attempt

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver in the background until the context ends."""
        task = asyncio.create_task(self._deliver_forever())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _deliver_forever(self) -> None:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False) as client:
            while True:
                try:
                    await self.deliver_due(client)
                except OSError as error:
                    log.warning("pending webhooks cannot be read", extra={"fields": {"errno": error.errno}})
                await asyncio.sleep(_POLL_S)

    async def deliver_due(self, client: httpx.AsyncClient) -> None:
        """Attempt every delivery that is due, once."""
        pending = await to_thread.run_sync(list, self._outbox)
        self._failures = {delivery: self._failures[delivery] for delivery in pending if delivery in self._failures}
        semaphore = asyncio.Semaphore(_CONCURRENT_DELIVERIES)

        async def attempt(delivery: PendingDelivery) -> None:
            async with semaphore:
                await self._deliver(client, delivery)

        await asyncio.gather(*(attempt(delivery) for delivery in pending if self._is_due(delivery)))

    def _is_due(self, delivery: PendingDelivery) -> bool:
        return delivery not in self._failures or self._failures[delivery][1] <= time.monotonic()

    async def _deliver(self, client: httpx.AsyncClient, delivery: PendingDelivery) -> None:
        try:
            job = await to_thread.run_sync(self._ended_job, delivery)
            if job is None:
                return
            address = await to_thread.run_sync(self._outbox.address, delivery)
        except NotFound:  # the sender has deleted the job
            await to_thread.run_sync(self._outbox.remove, delivery)
            return
        except FileNotFoundError:
            return
        if await self._post(client, address, job) or self._is_expired(job):
            await to_thread.run_sync(self._outbox.remove, delivery)
        else:
            failures = self._failures.get(delivery, (0, 0.0))[0] + 1
            self._failures[delivery] = failures, time.monotonic() + self._retry.delay_s(failures)

    def _ended_job(self, delivery: PendingDelivery) -> JobDocument | None:
        job = self._store.job(delivery.sender, delivery.job_id)
        return job_document(self._store, job) if job.ended() else None

    async def _post(self, client: httpx.AsyncClient, address: str, job: JobDocument) -> bool:
        """Whether the receiver took the message or wants no more (410). The address may hold a key: log it never."""
        message = signed_message(job, self._secret, int(time.time()))
        status = 0
        try:
            async with client.stream("POST", address, content=message.body, headers=message.headers) as response:
                status = response.status_code
        except httpx.HTTPError as error:
            fields = {"job": job.id, "error": type(error).__name__}
            log.warning("a webhook's receiver cannot be reached; it is tried again", extra={"fields": fields})
            return False
        log.info("a webhook's receiver responded", extra={"fields": {"job": job.id, "status": status}})
        return httpx.codes.is_success(status) or status == httpx.codes.GONE

    def _is_expired(self, job: JobDocument) -> bool:
        if job.ended is None or time.time() - datetime.fromisoformat(job.ended).timestamp() < self._retry.give_up_s:
            return False
        log.error("a webhook is given up: webhook_patience_s has passed", extra={"fields": {"job": job.id}})
        return True


@dataclass(frozen=True, slots=True)
class Webhooks:
    """All parts of webhooks in the gateway. Without a secret there is no deliverer, and no address is allowed."""

    allowed: AllowedAddresses
    outbox: Outbox
    deliverer: WebhookDeliverer | None

    @classmethod
    def create(cls, settings: Settings, store: JobStore) -> "Webhooks":
        """From the settings; ValueError where they are wrong."""
        outbox, secret_file = Outbox(store.storage), settings.webhook_secret_file
        retry = RetryPolicy(first_delay_s=_FIRST_DELAY_S, give_up_s=settings.webhook_patience_s)
        deliverer = WebhookDeliverer(outbox, store, read_secret(secret_file), retry) if secret_file else None
        return cls(AllowedAddresses(settings.webhooks_allowed), outbox, deliverer)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Deliver in the background until the context ends."""
        return self.deliverer.running() if self.deliverer else nullcontext()
