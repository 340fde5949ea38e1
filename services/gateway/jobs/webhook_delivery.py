"""Delivers webhooks at least once, with exponential backoff, also after a crash of the gateway.

hooks/<sender>/<job>    on the storage: the address of a pending delivery
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
from services.gateway.jobs.schemas import JobDocument
from services.gateway.jobs.storage import Storage
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.views import job_document
from services.gateway.jobs.webhook_signature import AllowedWebhooks, message, read_secret
from services.gateway.settings import Settings

log = logging.getLogger(__name__)
_PREFIX: Final = "hooks"
_CONCURRENT_DELIVERIES: Final = 8


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A job whose end is to be told."""

    sender: str
    job_id: str

    @property
    def place(self) -> str:
        return f"{_PREFIX}/{self.sender}/{self.job_id}"


class Outbox:
    """Pending deliveries in a storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, sender: str, job_id: str, address: str) -> None:
        """Promise to tell; OSError where the storage is full."""
        self._storage.create(PendingDelivery(sender, job_id).place, address.encode())

    def remove(self, hook: PendingDelivery) -> None:
        """It was told, or never will be."""
        self._storage.remove(hook.place)

    def address(self, hook: PendingDelivery) -> str:
        """FileNotFoundError where another gateway has told it."""
        return self._storage.get(hook.place).decode()

    def __iter__(self) -> Iterator[PendingDelivery]:
        for sender in self._storage.names(_PREFIX):
            for job_id in self._storage.names(f"{_PREFIX}/{sender}"):
                yield PendingDelivery(sender, job_id)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff: `first_delay_s`, doubled after each failure up to `max_delay_s`, until `give_up_s`."""

    give_up_s: float
    poll_s: float = 2.0
    first_delay_s: float = 5.0
    max_delay_s: float = 3600.0
    timeout_s: float = 10.0

    def wait_s(self, failures: int) -> float:
        """Before the next try."""
        return min(self.max_delay_s, self.first_delay_s * 2.0 ** min(failures - 1, 30))


class WebhookDeliverer:
    """Runs in the gateway, the one process that can reach beyond the stages."""

    def __init__(self, outbox: Outbox, store: JobStore, secret: bytes, pace: RetryPolicy) -> None:
        self._outbox = outbox
        self._store = store
        self._secret = secret
        self._pace = pace
        self._failures: dict[PendingDelivery, tuple[int, float]] = {}  # how many, and when to try again

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell while this lasts; what is not told then is told after the next start."""
        task = asyncio.create_task(self._deliver_forever())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _deliver_forever(self) -> None:
        async with httpx.AsyncClient(timeout=self._pace.timeout_s, trust_env=False, follow_redirects=False) as client:
            while True:
                try:
                    await self.deliver_due(client)
                except OSError as error:
                    log.warning("webhooks cannot be looked up", extra={"fields": {"errno": error.errno}})
                await asyncio.sleep(self._pace.poll_s)

    async def deliver_due(self, client: httpx.AsyncClient) -> None:
        """Try every hook that is due, once."""
        hooks = await to_thread.run_sync(list, self._outbox)
        self._failures = {hook: self._failures[hook] for hook in hooks if hook in self._failures}
        free = asyncio.Semaphore(_CONCURRENT_DELIVERIES)

        async def one(hook: PendingDelivery) -> None:
            async with free:
                await self._deliver(client, hook)

        await asyncio.gather(*(one(hook) for hook in hooks if self._is_due(hook)))

    def _is_due(self, hook: PendingDelivery) -> bool:
        return hook not in self._failures or self._failures[hook][1] <= time.monotonic()

    async def _deliver(self, client: httpx.AsyncClient, hook: PendingDelivery) -> None:
        try:
            job = await to_thread.run_sync(self._ended, hook)
            if job is None:
                return
            address = await to_thread.run_sync(self._outbox.address, hook)
        except NotFound:  # its sender has forgotten it
            await to_thread.run_sync(self._outbox.remove, hook)
            return
        except FileNotFoundError:
            return
        if await self._post(client, address, job) or self._is_expired(job):
            await to_thread.run_sync(self._outbox.remove, hook)
        else:
            failures = self._failures.get(hook, (0, 0.0))[0] + 1
            self._failures[hook] = failures, time.monotonic() + self._pace.wait_s(failures)

    def _ended(self, hook: PendingDelivery) -> JobDocument | None:
        job = self._store.job(hook.sender, hook.job_id)
        return job_document(self._store, job) if job.ended() else None

    async def _post(self, client: httpx.AsyncClient, address: str, job: JobDocument) -> bool:
        """Whether it was; an address is never logged, for it may hold a key. 410 asks never to be told again."""
        sent = message(job, self._secret, int(time.time()))
        status = 0
        try:
            async with client.stream("POST", address, content=sent.body, headers=sent.headers) as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            log.warning("a webhook was not reached", extra={"fields": {"job": job.id, "why": type(error).__name__}})
            return False
        log.info("a webhook answered", extra={"fields": {"job": job.id, "status": status}})
        return httpx.codes.is_success(status) or status == httpx.codes.GONE

    def _is_expired(self, job: JobDocument) -> bool:
        if job.ended is None or time.time() - datetime.fromisoformat(job.ended).timestamp() < self._pace.give_up_s:
            return False
        log.error("a webhook is given up", extra={"fields": {"job": job.id}})
        return True


@dataclass(frozen=True, slots=True)
class Webhooks:
    """All that the gateway does about webhooks. Without a secret there are none, and no address is allowed."""

    allowed: AllowedWebhooks
    outbox: Outbox
    deliverer: WebhookDeliverer | None

    @classmethod
    def create(cls, settings: Settings, store: JobStore) -> "Webhooks":
        """By the settings; ValueError where they are wrong."""
        outbox, secret_file = Outbox(store.storage), settings.webhook_secret_file
        pace = RetryPolicy(give_up_s=settings.webhook_patience_s)
        deliverer = WebhookDeliverer(outbox, store, read_secret(secret_file), pace) if secret_file else None
        return cls(AllowedWebhooks(settings.webhooks_allowed), outbox, deliverer)

    def running(self) -> AbstractAsyncContextManager[None]:
        """While the gateway runs."""
        return self.deliverer.running() if self.deliverer else nullcontext()
