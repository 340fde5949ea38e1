"""Jobs in the gateway: accept, list, cancel, delete, and the background work of schedule, expiry and webhooks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from anyio import to_thread
from fastapi import Request
from redis import Redis
from redis.exceptions import RedisError

from services.common.clients import Client
from services.common.operating_points import OperatingPoint
from services.common.problems import NotFound
from services.gateway.audit.events import expiry_event, files_expiry_event
from services.gateway.audit.log import AuditLog
from services.gateway.bundle import Bundles
from services.gateway.jobs.file_retention import FileRetention
from services.gateway.jobs.job import Job
from services.gateway.jobs.job_traces import JobTraces
from services.gateway.jobs.lease import LeaseLost
from services.gateway.jobs.retention import Retention, RetentionClock
from services.gateway.jobs.rounds import INTERVAL_S, Rounds
from services.gateway.jobs.scheduler import FairScheduler, QueueUnavailable
from services.gateway.jobs.schemas import JobDocument, JobPage, JobStatus, Priority
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.jobs.views import job_document
from services.gateway.jobs.webhook_delivery import Webhooks
from services.gateway.predictions import check_operating_point
from services.gateway.quotas.job_quotas import JobQuotas, ReservedJob, declared_bytes
from services.gateway.settings import Settings
from services.gateway.shares.upload_shares import Upload, Uploads
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.spool import SpoolFolder, UploadedFile, full_disk_as_problem

log = logging.getLogger(__name__)
_DOCUMENTS_AT_ONCE: Final = 8


def _nobody(_: Job) -> None:
    """Nobody listens to changes."""


@dataclass(frozen=True, slots=True)
class JobService:
    """All operations of the gateway on jobs."""

    store: JobStore
    scheduler: FairScheduler
    webhooks: Webhooks
    retention: Retention
    bundles: Bundles
    settings: Settings
    uploads: Uploads
    traces: JobTraces
    quotas: JobQuotas
    audit: AuditLog | None = None
    changed: Callable[[Job], None] = _nobody

    @classmethod
    def create(  # noqa: PLR0913 - the parts of the gateway that it connects
        cls,
        settings: Settings,
        redis: Redis,
        bundles: Bundles,
        uploads: Uploads,
        store: JobStore,
        quotas: JobQuotas,
        *,
        audit: AuditLog | None = None,
        changed: Callable[[Job], None] = _nobody,
    ) -> "JobService":
        """With the queue that the settings name.

        changed : gets each job that this gateway accepts, changes or deletes
        """
        files = FileRetention(settings.job_files_ttl_s, settings.job_files_quota_bytes)
        retention = Retention(store, RetentionClock(store.storage), settings.job_ttl_s, files)
        traces = JobTraces(redis)
        return cls(
            store,
            FairScheduler(redis, store, settings.job_lanes),
            Webhooks.create(settings, store, retention, traces),
            retention,
            bundles,
            settings,
            uploads,
            traces,
            quotas,
            audit,
            changed,
        )

    async def check_options(self, operating_point: OperatingPoint | None, webhook: str | None) -> OperatingPoint:
        """The operating point of a new job: the request's, or else the site's.

        Raises
        ------
        UnknownOperatingPoint
            the served bundle lacks the request's operating point
        WebhookRefused
            the site does not allow the webhook's address
        """
        if operating_point:
            check_operating_point(operating_point, await self.bundles.served())
        if webhook:
            self.webhooks.allowed.check(webhook)
        return operating_point or self.settings.operating_point

    async def accept(self, request: Request, client: Client, options: JobOptions) -> tuple[Job, bool]:
        """Store and schedule the files of a client's request: the job, and whether it is new.

        Raises
        ------
        QueueUnavailable, SpoolFull
            nothing was accepted; the sender may try again
        QuotaExceeded
            a quota of the sender has no room for the job
        Problem
            the upload is refused, as in a synchronous request
        """
        await to_thread.run_sync(self.scheduler.check_available)
        async with self.quotas.reserved(client.sender, declared_bytes(request)) as reserved:
            with self.uploads.begin(client) as upload:
                return await self._accept(request, upload, options, reserved)

    async def _accept(
        self, request: Request, upload: Upload, options: JobOptions, reserved: ReservedJob
    ) -> tuple[Job, bool]:
        async with self.store.incoming.folder() as folder:
            files = await upload.receive(request, folder, self._limits())
            async with upload.storing():
                return await to_thread.run_sync(self._accept_files, folder, files, options, reserved)

    def _accept_files(
        self, folder: SpoolFolder, files: list[UploadedFile], options: JobOptions, reserved: ReservedJob
    ) -> tuple[Job, bool]:
        reserved.resize(sum(file.size for file in files))
        with full_disk_as_problem("jobs"):
            job, new = self.store.accept(folder, files, options)
            self._register_webhook(job, options, new=new)
        try:
            with self.traces.sending(job.id, options.priority):
                self.scheduler.schedule(options.priority, options.sender)
        except RedisError as error:
            if not new or self._may_be_repeated(options):
                return job, new  # `reconcile` will schedule it
            self._withdraw(job, options)
            raise QueueUnavailable("Redis is down or full; nothing was accepted, send the job again later") from error
        reserved.stored = new
        self.changed(job)
        return job, new

    def _register_webhook(self, job: Job, options: JobOptions, *, new: bool) -> None:
        """Store the webhook's address; withdraw a new job where that fails."""
        if not options.webhook:
            return
        try:
            self.webhooks.outbox.add(options.sender, job.id, options.webhook)
        except OSError:
            if new and not self._may_be_repeated(options):
                self._withdraw(job, options)
            raise

    def _may_be_repeated(self, options: JobOptions) -> bool:
        """Whether another gateway may have accepted a repetition of the request, which has the same job."""
        return self.store.membership is not None and options.idempotency_key is not None

    def _withdraw(self, job: Job, options: JobOptions) -> None:
        self.store.close(job, options.priority, "cancelled")
        job.remove()

    def _limits(self) -> Limits:
        settings = self.settings
        return Limits(settings.max_job_bytes, settings.max_job_files, settings.max_unpacked_ratio)

    def document(self, job: Job) -> JobDocument:
        """The job's present state; NotFound where the job is gone."""
        return job_document(self.store, job)

    def cancel_or_delete(self, job: Job) -> JobDocument | None:
        """Cancel a job; delete a job that has ended, and return None."""
        if job.ended():
            job.remove()
            self.changed(job)
            return None
        self.store.cancel(job, job.priority())
        self.changed(job)
        return self.document(job)

    def change_priority(self, job: Job, priority: Priority) -> JobDocument:
        """Move an open job to another priority; see `JobStore.change_priority`."""
        with full_disk_as_problem("jobs"):
            self.store.change_priority(job, priority)
        with suppress(RedisError):  # `reconcile` will schedule it
            self.scheduler.schedule(priority, job.sender)
        self.changed(job)
        return self.document(job)

    def list_page(self, sender: str, before: str | None, limit: int, status: JobStatus | None) -> JobPage:
        """The sender's jobs older than the job `before`, newest first."""
        older = [job for job in self.store.jobs(sender) if not before or job.id < before]
        documents = (document for document in self._documents(older) if status in (None, document.status))
        found = list(islice(documents, limit + 1))
        more = f"/v1/jobs?before={found[limit - 1].id}&limit={limit}" if len(found) > limit else None
        return JobPage(jobs=tuple(found[:limit]), next=f"{more}&status={status}" if more and status else more)

    def _documents(self, jobs: Sequence[Job]) -> Iterator[JobDocument]:
        """The documents of jobs that were not deleted meanwhile, several read at once: a store may be far away."""

        def read(job: Job) -> JobDocument | None:
            with suppress(NotFound):
                return self.document(job)
            return None

        with ThreadPoolExecutor(_DOCUMENTS_AT_ONCE) as pool:
            for start in range(0, len(jobs), _DOCUMENTS_AT_ONCE):
                yield from filter(None, pool.map(read, jobs[start : start + _DOCUMENTS_AT_ONCE]))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Recover from a crash, then reconcile and deliver webhooks in the background until the context ends."""
        await to_thread.run_sync(self.store.recover)
        if not self.settings.asks_for_identity:
            log.info(
                "ICH_GATEWAY_SENDERS_FILE is not set: everyone who reaches this gateway may send and read all jobs; "
                "keep it on 127.0.0.1"
            )
        task = asyncio.create_task(self._reconcile_forever())
        try:
            async with self.webhooks.running():
                yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def sweep(self) -> None:
        """Remove half uploads of dead gateways, orphans, and all that has expired.

        Raises
        ------
        LeaseLost
            another gateway may do it from now on
        """
        self.store.settle_uploads(all_gateways=True)
        if self.store.membership:
            self.store.remove_orphans()
        for job in self.retention.sweep():
            self.changed(job)
            if self.audit:
                self.audit.post(expiry_event(job.sender, job.id))
        for job in self.retention.sweep_files():
            if self.audit:
                self.audit.post(files_expiry_event(job.sender, job.id))

    async def _reconcile_forever(self) -> None:
        rounds = Rounds(self.store, self.scheduler, self.retention, self.sweep)
        while True:
            pause_s = INTERVAL_S
            try:
                pause_s = await to_thread.run_sync(rounds.run)
            except RedisError:
                log.warning("Redis does not answer; jobs are not scheduled until it does")
            except LeaseLost:
                log.warning("another gateway may hold the lease of sweeps; this gateway stops its own")
            except OSError as error:
                log.warning("the store of jobs cannot be read or written", extra={"fields": {"errno": error.errno}})
            except Exception:  # the next round may succeed; without rounds, no ticket is ever issued
                log.exception("jobs could not be scheduled or expired")
            await asyncio.sleep(pause_s)
