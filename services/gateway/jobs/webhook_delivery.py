"""Tells webhooks that jobs have ended, again and again until they take it, through crashes of whoever tells.

hooks/<sender>/<job>    on the shelf: an address that is still to be told
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
from services.gateway.jobs.storage import Shelf
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.views import describe
from services.gateway.jobs.webhook_signature import Allowed, message, read_secret
from services.gateway.settings import Settings

log = logging.getLogger(__name__)
_HOOKS: Final = "hooks"
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Hook:
    """A job whose end is to be told."""

    sender: str
    job_id: str

    @property
    def place(self) -> str:
        return f"{_HOOKS}/{self.sender}/{self.job_id}"


class Outbox:
    """Hooks on a shelf, until they are done."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def put(self, sender: str, job_id: str, address: str) -> None:
        """Promise to tell; OSError where the shelf is full."""
        self._shelf.put_once(Hook(sender, job_id).place, address.encode())

    def remove(self, hook: Hook) -> None:
        """It was told, or never will be."""
        self._shelf.remove(hook.place)

    def address(self, hook: Hook) -> str:
        """FileNotFoundError where another gateway has told it."""
        return self._shelf.get(hook.place).decode()

    def __iter__(self) -> Iterator[Hook]:
        for sender in self._shelf.names(_HOOKS):
            for job_id in self._shelf.names(f"{_HOOKS}/{sender}"):
                yield Hook(sender, job_id)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often it is tried: after `first_s`, then each time twice as late, at most `longest_s` later; till `end_s`."""

    end_s: float
    look_s: float = 2.0
    first_s: float = 5.0
    longest_s: float = 3600.0
    timeout_s: float = 10.0

    def wait_s(self, failures: int) -> float:
        """Before the next try."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))


class Teller:
    """Runs in the gateway, the one process that can reach beyond the stages."""

    def __init__(self, outbox: Outbox, store: JobStore, secret: bytes, pace: Pace) -> None:
        self._outbox = outbox
        self._store = store
        self._secret = secret
        self._pace = pace
        self._failures: dict[Hook, tuple[int, float]] = {}  # how many, and when to try again

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Tell while this lasts; what is not told then is told after the next start."""
        task = asyncio.create_task(self._tell_on())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _tell_on(self) -> None:
        async with httpx.AsyncClient(timeout=self._pace.timeout_s, trust_env=False, follow_redirects=False) as client:
            while True:
                try:
                    await self.tell_all(client)
                except OSError as error:
                    log.warning("webhooks cannot be looked up", extra={"fields": {"errno": error.errno}})
                await asyncio.sleep(self._pace.look_s)

    async def tell_all(self, client: httpx.AsyncClient) -> None:
        """Try every hook that is due, once."""
        hooks = await to_thread.run_sync(list, self._outbox)
        self._failures = {hook: self._failures[hook] for hook in hooks if hook in self._failures}
        free = asyncio.Semaphore(_AT_ONCE)

        async def one(hook: Hook) -> None:
            async with free:
                await self._tell(client, hook)

        await asyncio.gather(*(one(hook) for hook in hooks if self._is_due(hook)))

    def _is_due(self, hook: Hook) -> bool:
        return hook not in self._failures or self._failures[hook][1] <= time.monotonic()

    async def _tell(self, client: httpx.AsyncClient, hook: Hook) -> None:
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
        if await self._is_taken(client, address, job) or self._is_over(job):
            await to_thread.run_sync(self._outbox.remove, hook)
        else:
            failures = self._failures.get(hook, (0, 0.0))[0] + 1
            self._failures[hook] = failures, time.monotonic() + self._pace.wait_s(failures)

    def _ended(self, hook: Hook) -> JobDocument | None:
        job = self._store.job(hook.sender, hook.job_id)
        return describe(self._store, job) if job.ended() else None

    async def _is_taken(self, client: httpx.AsyncClient, address: str, job: JobDocument) -> bool:
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

    def _is_over(self, job: JobDocument) -> bool:
        if job.ended is None or time.time() - datetime.fromisoformat(job.ended).timestamp() < self._pace.end_s:
            return False
        log.error("a webhook is given up", extra={"fields": {"job": job.id}})
        return True


@dataclass(frozen=True, slots=True)
class Hooks:
    """All that the gateway does about webhooks. Without a secret there are none, and no address is allowed."""

    allowed: Allowed
    outbox: Outbox
    teller: Teller | None

    @classmethod
    def create(cls, settings: Settings, store: JobStore) -> "Hooks":
        """By the settings; ValueError where they are wrong."""
        outbox, secret_file = Outbox(store.shelf), settings.webhook_secret_file
        pace = Pace(end_s=settings.webhook_patience_s)
        teller = Teller(outbox, store, read_secret(secret_file), pace) if secret_file else None
        return cls(Allowed(settings.webhooks_allowed), outbox, teller)

    def telling(self) -> AbstractAsyncContextManager[None]:
        """While the gateway runs."""
        return self.teller.telling() if self.teller else nullcontext()
