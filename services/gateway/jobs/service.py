"""Jobs as the gateway handles them: taken in, looked after, ended."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from anyio import to_thread
from fastapi import Request
from redis import Redis
from redis.exceptions import RedisError

from services.common.problems import NotFound
from services.gateway.archives import Limits
from services.gateway.jobs.api_keys import ApiKeys
from services.gateway.jobs.job import Job
from services.gateway.jobs.scheduler import FairScheduler, QueueUnavailable
from services.gateway.jobs.schemas import JobDocument, JobPage, JobStatus
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.jobs.views import describe
from services.gateway.jobs.webhook_delivery import Webhooks
from services.gateway.settings import Settings
from services.gateway.spool import UploadedFile, full_disk_told
from services.gateway.uploads import receive

log = logging.getLogger(__name__)
_RECONCILE_EVERY_S: Final = 5.0
_SWEEP_EVERY: Final = 12


@dataclass(frozen=True, slots=True)
class JobService:
    """What the gateway does about jobs."""

    store: JobStore
    scheduler: FairScheduler
    api_keys: ApiKeys
    settings: Settings
    hooks: Webhooks

    @classmethod
    def create(cls, settings: Settings, redis: Redis) -> "JobService":
        """On the store and the queue that the settings name."""
        store = JobStore.at(settings.jobs_dir, settings.jobs_url)
        scheduler, api_keys = FairScheduler(redis, store, settings.job_lanes), ApiKeys.read(settings.senders_file)
        return cls(store, scheduler, api_keys, settings, Webhooks.create(settings, store))

    async def accept(self, request: Request, options: JobOptions) -> tuple[Job, bool]:
        """Take a request's files; the job when it is safe and has its turns, and whether it is a new one.

        Raises
        ------
        QueueUnavailable, SpoolFull
            nothing was accepted; the sender may try again.
        Problem
            of the upload, as of a waiting call.
        """
        await to_thread.run_sync(self.scheduler.check)
        async with self.store.incoming.folder() as folder:
            files = await receive(request, folder, self._limits())
            return await to_thread.run_sync(self._store_files, folder, files, options)

    def _store_files(self, folder: Any, files: list[UploadedFile], options: JobOptions) -> tuple[Job, bool]:
        with full_disk_told("jobs"):
            job, new = self.store.accept(folder, files, options)
            self._register_webhook(job, options, new=new)
        try:
            self.scheduler.schedule(options.priority, options.sender)
        except RedisError as error:
            if not new:
                return job, new  # it was accepted before, and `reconcile` gives it its turns
            self._withdraw(job, options)
            raise QueueUnavailable("the queue is down or full; nothing was accepted") from error
        return job, new

    def _register_webhook(self, job: Job, options: JobOptions, *, new: bool) -> None:
        """Keep the webhook, or withdraw the job."""
        if not options.webhook:
            return
        try:
            self.hooks.outbox.put(options.sender, job.id, options.webhook)
        except OSError:
            if new:
                self._withdraw(job, options)
            raise

    def _withdraw(self, job: Job, options: JobOptions) -> None:
        self.store.close(job, options.priority, "cancelled")
        job.remove()

    def _limits(self) -> Limits:
        settings = self.settings
        return Limits(settings.max_job_bytes, settings.max_job_files, settings.max_unpacked_ratio)

    def end(self, job: Job) -> JobDocument | None:
        """Cancel a job, or forget one that has ended."""
        if job.ended():
            job.remove()
            return None
        self.store.cancel(job, job.manifest().priority)
        return describe(self.store, job)

    def page(self, sender: str, before: str | None, limit: int, status: JobStatus | None) -> JobPage:
        """Jobs older than `before`, newest first."""
        found: list[JobDocument] = []
        for job in self.store.jobs(sender):
            if before and job.id >= before:
                continue
            with suppress(NotFound):  # forgotten just now
                document = describe(self.store, job)
                if status in (None, document.status):
                    found.append(document)
            if len(found) > limit:
                break
        more = f"/v1/jobs?before={found[limit - 1].id}&limit={limit}" if len(found) > limit else None
        return JobPage(jobs=tuple(found[:limit]), next=f"{more}&status={status}" if more and status else more)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sweep the store, then reconcile the lanes until the end."""
        await to_thread.run_sync(self.store.open)
        if self.api_keys.anybody:
            log.info(
                "no senders file: anybody who reaches this gateway may send jobs and sees all; keep it on 127.0.0.1"
            )
        task = asyncio.create_task(self._reconcile_forever())
        try:
            async with self.hooks.running():
                yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _reconcile_forever(self) -> None:
        looks = 0
        while True:
            try:
                await to_thread.run_sync(self.scheduler.reconcile)
                if looks % _SWEEP_EVERY == 0:
                    await to_thread.run_sync(self.store.sweep, self.settings.job_ttl_s)
            except RedisError:
                log.warning("the queue is down")
            except OSError as error:
                log.warning("the store cannot be read", extra={"fields": {"errno": error.errno}})
            looks += 1
            await asyncio.sleep(_RECONCILE_EVERY_S)
