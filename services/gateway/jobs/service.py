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
from services.gateway.jobs.api_keys import Senders
from services.gateway.jobs.job import Job
from services.gateway.jobs.scheduler import Lanes, QueueUnavailable
from services.gateway.jobs.schemas import JobDocument, JobPage, JobStatus
from services.gateway.jobs.store import JobStore, Wishes
from services.gateway.jobs.views import describe
from services.gateway.jobs.webhook_delivery import Hooks
from services.gateway.settings import Settings
from services.gateway.spool import UploadedFile, full_disk_told
from services.gateway.uploads import receive

log = logging.getLogger(__name__)
_TEND_S: Final = 5.0
_SWEEP_EVERY: Final = 12


@dataclass(frozen=True, slots=True)
class Jobs:
    """What the gateway does about jobs."""

    store: JobStore
    lanes: Lanes
    senders: Senders
    settings: Settings
    hooks: Hooks

    @classmethod
    def create(cls, settings: Settings, redis: Redis) -> "Jobs":
        """On the store and the queue that the settings name."""
        store = JobStore.at(settings.jobs_dir, settings.jobs_url)
        lanes, senders = Lanes(redis, store, settings.job_lanes), Senders.read(settings.senders_file)
        return cls(store, lanes, senders, settings, Hooks.create(settings, store))

    async def accept(self, request: Request, wishes: Wishes) -> tuple[Job, bool]:
        """Take a request's files; the job when it is safe and has its turns, and whether it is a new one.

        Raises
        ------
        QueueUnavailable, SpoolFull
            nothing was accepted; the sender may try again.
        Problem
            of the upload, as of a waiting call.
        """
        await to_thread.run_sync(self.lanes.check)
        async with self.store.incoming.folder() as folder:
            files = await receive(request, folder, self._limits())
            return await to_thread.run_sync(self._settle, folder, files, wishes)

    def _settle(self, folder: Any, files: list[UploadedFile], wishes: Wishes) -> tuple[Job, bool]:
        with full_disk_told("jobs"):
            job, new = self.store.accept(folder, files, wishes)
            self._promise(job, wishes, new=new)
        try:
            self.lanes.wake(wishes.priority, wishes.sender)
        except RedisError as error:
            if not new:
                return job, new  # it was accepted before, and `tend` gives it its turns
            self._take_back(job, wishes)
            raise QueueUnavailable("the queue is down or full; nothing was accepted") from error
        return job, new

    def _promise(self, job: Job, wishes: Wishes, *, new: bool) -> None:
        """Keep the webhook, or take the job back."""
        if not wishes.webhook:
            return
        try:
            self.hooks.outbox.put(wishes.sender, job.id, wishes.webhook)
        except OSError:
            if new:
                self._take_back(job, wishes)
            raise

    def _take_back(self, job: Job, wishes: Wishes) -> None:
        self.store.close(job, wishes.priority, "cancelled")
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
    async def tended(self) -> AsyncIterator[None]:
        """Sweep the store, then look after lanes until the end."""
        await to_thread.run_sync(self.store.open)
        if self.senders.anybody:
            log.info(
                "no senders file: anybody who reaches this gateway may send jobs and sees all; keep it on 127.0.0.1"
            )
        task = asyncio.create_task(self._tend())
        try:
            async with self.hooks.telling():
                yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _tend(self) -> None:
        looks = 0
        while True:
            try:
                await to_thread.run_sync(self.lanes.tend)
                if looks % _SWEEP_EVERY == 0:
                    await to_thread.run_sync(self.store.sweep, self.settings.job_ttl_s)
            except RedisError:
                log.warning("the queue is down")
            except OSError as error:
                log.warning("the store cannot be tended", extra={"fields": {"errno": error.errno}})
            looks += 1
            await asyncio.sleep(_TEND_S)
