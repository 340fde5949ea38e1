"""Delivers webhooks at least once, with exponential backoff, also after a crash of the gateway."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice
from typing import Final

import httpx
from anyio import to_thread

from services.common.problems import NotFound
from services.common.retry_policy import RetryPolicy
from services.common.tracing import span, trace_headers
from services.gateway.jobs.job import Job
from services.gateway.jobs.job_traces import JobTraces
from services.gateway.jobs.outbox import Outbox, PendingDelivery
from services.gateway.jobs.retention import Retention
from services.gateway.jobs.schemas import JobDocument
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.views import job_document
from services.gateway.jobs.webhook_addresses import AllowedAddresses, Origin, parse_address
from services.gateway.jobs.webhook_client import WebhookClient
from services.gateway.jobs.webhook_signature import WebhookMessage, read_secret, signed_message
from services.gateway.settings import Settings

log = logging.getLogger(__name__)
_FIRST_DELAY_S: Final = 5.0
_POLL_S: Final = 2.0
_IDLE_POLL_S: Final = 10.0  # without pending deliveries in an object storage, which has a price for each request
ATTEMPTS_AT_ONCE: Final = 4  # of one sender to one receiver
MAX_LOOKS: Final = 500  # pending deliveries of a sender that a round looks at


class WebhookDeliverer:
    """Posts pending deliveries of ended jobs, in tasks that do not wait for each other.

    Of several gateways the holder of the lease delivers. Where the lease is lost during an attempt, the next holder may
    repeat it.

    Each sender's receivers have some attempts at a time of their own, so a slow receiver delays its sender's messages
    to it, and no others. Runs in the gateway, since workers reach the stages only.

    Parameters
    ----------
    retry
        `give_up_s` counts from the end of the job
    """

    def __init__(
        self,
        outbox: Outbox,
        store: JobStore,
        retention: Retention,
        secret: bytes,
        retry: RetryPolicy,
        traces: JobTraces | None = None,
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._retention = retention
        self._secret = secret
        self._retry = retry
        self._traces = traces
        self._failures: dict[PendingDelivery, tuple[int, float]] = {}  # number, and monotonic time of the next attempt
        self._attempts: dict[PendingDelivery, asyncio.Task[None]] = {}
        self._busy: Counter[tuple[str, Origin]] = Counter()  # attempts in progress, by sender and origin
        self._pending = False
        self._looked_at: dict[str, str] = {}  # the last job that the latest round looked at, by sender

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver in the background until the context ends."""
        client = WebhookClient()
        task = asyncio.create_task(self._deliver_forever(client))
        try:
            yield
        finally:
            tasks = [task, *self._attempts.values()]
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()

    async def _deliver_forever(self, client: WebhookClient) -> None:
        while True:
            try:
                await self.start_due(client)
            except OSError as error:
                log.warning("pending webhooks cannot be read", extra={"fields": {"errno": error.errno}})
            except Exception:  # the next round may succeed; without rounds, no webhook is ever delivered
                log.exception("pending webhooks cannot be delivered")
            await asyncio.sleep(_POLL_S if self._pending or self._store.membership is None else _IDLE_POLL_S)

    def _forget(self) -> None:
        """Stop all attempts: another gateway may deliver from now on."""
        for attempt in self._attempts.values():
            attempt.cancel()
        self._failures.clear()

    async def start_due(self, client: WebhookClient) -> list[asyncio.Task[None]]:
        """Start an attempt of every delivery that is due, as far as its receiver has room; do not wait for them.

        Without the lease, stop all attempts instead.
        """
        if self._store.lease.term() is None:
            self._forget()
            return []
        started = []
        for delivery, address, origin in await to_thread.run_sync(self._due):
            receiver = delivery.sender, origin
            if delivery in self._attempts or self._busy[receiver] >= ATTEMPTS_AT_ONCE:
                continue
            self._busy[receiver] += 1
            task = asyncio.create_task(self._deliver(client, delivery, address))
            self._attempts[delivery] = task
            task.add_done_callback(partial(self._end_attempt, delivery, receiver))
            started.append(task)
        return started

    def _end_attempt(self, delivery: PendingDelivery, receiver: tuple[str, Origin], task: asyncio.Task[None]) -> None:
        del self._attempts[delivery]
        self._busy -= Counter([receiver])
        if not task.cancelled() and (error := task.exception()):
            self._count_failure(delivery)
            fields = {"job": delivery.job_id, "error": type(error).__name__}
            log.warning("a webhook could not be delivered; it is tried again", extra={"fields": fields})

    def _due(self) -> list[tuple[PendingDelivery, str, Origin]]:
        """The deliveries of ended jobs whose time has come, each with its address and the address's origin."""
        pending = [delivery for sender in self._outbox.senders() for delivery in self._outbox.of_sender(sender)]
        self._failures = {delivery: self._failures[delivery] for delivery in pending if delivery in self._failures}
        self._pending = bool(pending)
        by_sender = groupby(pending, key=lambda delivery: delivery.sender)
        chosen = [delivery for sender, found in by_sender for delivery in self._in_turn(sender, list(found))]
        due = ((delivery, self._address_of_ended(delivery)) for delivery in chosen)
        return [(delivery, *found) for delivery, found in due if found]

    def _in_turn(self, sender: str, pending: list[PendingDelivery]) -> list[PendingDelivery]:
        """The sender's next deliveries that may be due, after those of the latest round."""
        last = self._looked_at.get(sender, "")
        later = [delivery for delivery in pending if delivery.job_id > last]
        earlier = [delivery for delivery in pending if delivery.job_id <= last]
        waiting = (delivery for delivery in (*later, *earlier) if delivery not in self._attempts)
        chosen = list(islice(filter(self._may_be_due, waiting), MAX_LOOKS))
        if chosen:
            self._looked_at[sender] = chosen[-1].job_id
        return chosen

    def _may_be_due(self, delivery: PendingDelivery) -> bool:
        return delivery not in self._failures or self._failures[delivery][1] <= time.monotonic()

    def _address_of_ended(self, delivery: PendingDelivery) -> tuple[str, Origin] | None:
        """The address and its origin; None where the job has not ended.

        Forgets a delivery whose job was deleted, or whose address is damaged.
        """
        try:
            if self._store.job(delivery.sender, delivery.job_id).ended():
                address = self._outbox.address(delivery)
                return address, parse_address(address)[0]
        except NotFound:
            self._outbox.remove(delivery)
        except ValueError:
            log.error("the stored address of a webhook is damaged", extra={"fields": {"job": delivery.job_id}})  # noqa: TRY400
            self._outbox.remove(delivery)
        except FileNotFoundError:  # delivered meanwhile
            pass
        return None

    async def _deliver(self, client: WebhookClient, delivery: PendingDelivery, address: str) -> None:
        try:
            job, document = await to_thread.run_sync(self._read, delivery)
        except NotFound:
            await to_thread.run_sync(self._outbox.remove, delivery)
            return
        if await self._post(client, address, document) or await to_thread.run_sync(self._is_given_up, job):
            await to_thread.run_sync(self._outbox.remove, delivery)
        else:
            self._count_failure(delivery)

    def _count_failure(self, delivery: PendingDelivery) -> None:
        failures = self._failures.get(delivery, (0, 0.0))[0] + 1
        self._failures[delivery] = failures, time.monotonic() + self._retry.delay_s(failures)

    def _read(self, delivery: PendingDelivery) -> tuple[Job, JobDocument]:
        job = self._store.job(delivery.sender, delivery.job_id)
        return job, job_document(self._store, job)

    async def _post(self, client: WebhookClient, address: str, job: JobDocument) -> bool:
        """Whether the receiver took the message or wants no more (410). The address may hold a key: log it never."""
        message = signed_message(job, self._secret, int(time.time()))
        try:
            status = await self._post_traced(client, address, message, job.id)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:  # TimeoutError is an OSError
            fields = {"job": job.id, "error": type(error).__name__}
            log.warning("a webhook's receiver cannot be reached; it is tried again", extra={"fields": fields})
            return False
        log.info("a webhook's receiver responded", extra={"fields": {"job": job.id, "status": status}})
        return httpx.codes.is_success(status) or status == httpx.codes.GONE

    async def _post_traced(self, client: WebhookClient, address: str, message: WebhookMessage, job_id: str) -> int:
        parent = await to_thread.run_sync(self._traces.parent, job_id) if self._traces else None
        with span("POST", "client", {"http.request.method": "POST", "peer.service": "webhook"}, parent) as current:
            status = await client.post(address, replace(message, headers={**message.headers, **trace_headers()}))
            current.set("http.response.status_code", status)
            return status

    def _is_given_up(self, job: Job) -> bool:
        end = job.ended()
        if end is None or self._retention.age_s(job, end) < self._retry.give_up_s:
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
    def create(
        cls, settings: Settings, store: JobStore, retention: Retention, traces: JobTraces | None = None
    ) -> "Webhooks":
        """From the settings; ValueError where they are wrong."""
        outbox, secret_file = Outbox(store.storage), settings.webhook_secret_file
        retry = RetryPolicy(first_delay_s=_FIRST_DELAY_S, give_up_s=settings.webhook_patience_s)
        allowed = AllowedAddresses(settings.webhooks_allowed)
        if secret_file is None:
            return cls(allowed, outbox, None)
        return cls(allowed, outbox, WebhookDeliverer(outbox, store, retention, read_secret(secret_file), retry, traces))

    def running(self) -> AbstractAsyncContextManager[None]:
        """Deliver in the background until the context ends."""
        return self.deliverer.running() if self.deliverer else nullcontext()
