"""The gateway's application: the public API and the page."""

import gc
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from fastapi import Depends, FastAPI, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError
from starlette.types import Scope

from services.common.app import new_app
from services.common.connections.client_address import Proxies
from services.common.connections.metrics import ConnectionMetrics
from services.common.connections.table import CONNECTIONS, PROXIES, ConnectionLimits, ConnectionTable
from services.common.disclaimer import DISCLAIMER
from services.common.graceful_shutdown import State
from services.common.identity.authentication import Identity, add_identity
from services.common.identity.login import add_login_route
from services.common.identity.metrics import IdentityMetrics
from services.common.observability import configure_logging
from services.common.private_folder import restrict_umask
from services.common.problem_schemas import extend_openapi
from services.common.security_headers import page_policy
from services.common.tracing import configure_tracing
from services.gateway.api import add_prediction_routes
from services.gateway.audit.api import add_audit_route
from services.gateway.audit.events import keys_event
from services.gateway.audit.openapi import declare_audit
from services.gateway.audit.trail import audit_log, running_audit
from services.gateway.bundle import Bundles
from services.gateway.feedback.api import add_feedback_routes
from services.gateway.feedback.metrics import FeedbackMetrics
from services.gateway.feedback.service import FeedbackService, job_opinions
from services.gateway.jobs.api import add_job_routes
from services.gateway.jobs.changes import Changes
from services.gateway.jobs.connection import connect_redis
from services.gateway.jobs.metrics import CACHE_S, REMOTE_CACHE_S, QueueMetrics
from services.gateway.jobs.operation_metrics import OperationMetrics, measured_folders
from services.gateway.jobs.ownership import owning
from services.gateway.jobs.result_metrics import ResultMetrics
from services.gateway.jobs.service import JobService
from services.gateway.jobs.store import JobStore
from services.gateway.middleware import gateway_middleware
from services.gateway.pipeline import Pipeline
from services.gateway.predictions import PredictionService
from services.gateway.query import check_query
from services.gateway.quotas.openapi import declare_quotas
from services.gateway.quotas.sender_quotas import SenderQuotas
from services.gateway.responses import INVALID_PARAMETER, declare_browser_checks
from services.gateway.settings import Settings
from services.gateway.severities import read_severities
from services.gateway.shares.share_metrics import ShareMetrics
from services.gateway.shares.upload_shares import Uploads
from services.gateway.slices.api import add_slice_routes
from services.gateway.slices.rendering import SliceRenderer
from services.gateway.stages.stage_client import Stages, connect_all
from services.gateway.stages.stage_metrics import StageRetryMetrics
from services.gateway.static_files import CompressedFiles, compress_mount
from services.gateway.uploads.spool import Spool
from services.gateway.worklist.api import add_worklist_routes
from services.gateway.worklist.service import Worklist

_STACK_BYTES: Final = 2 * 1024**2  # of a thread; with the usual 8 MiB, a hundred threads reserve 800 MiB
_PAGES: Final = Path(__file__).parent / "pages"
_DOCS_ASSETS: Final = "/docs-assets"
_DESCRIPTION: Final = f"""How probable is each kind of intracranial haemorrhage on this head CT?

Send one axial slice or a series as DICOM, a zip of it, or 512 x 512 RGB pictures of the three windows.

**{DISCLAIMER}**"""


class _Pages(CompressedFiles):
    """The page's files, with the policy of the page."""

    def __init__(self, issuer: str | None) -> None:
        super().__init__(directory=_PAGES, html=True)
        self._policy = page_policy(issuer)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["content-security-policy"] = self._policy
        return response


def create_app(stages: Stages, settings: Settings) -> FastAPI:
    """The gateway in front of three stages."""
    bundles = Bundles(stages)
    spool = Spool(settings.spool_dir)
    pipeline = Pipeline(stages, settings, bundles, read_severities(settings.acceptance_file))
    redis = connect_redis(settings)
    uploads, registry, results = Uploads(settings), CollectorRegistry(), ResultMetrics(redis)
    audit, identity = audit_log(settings, registry), Identity.create(settings)
    store = JobStore.at(settings.jobs_dir, settings.jobs_url)
    worklist = Worklist.create(settings, store, job_opinions)
    tracker = worklist.tracker
    changes = Changes(
        redis if store.membership else None,
        store.storage,
        changed=tracker.changed,
        progressed=tracker.progressed,
        missed=tracker.rescan_soon,
    )
    quotas = SenderQuotas.create(settings, redis, store, registry)
    jobs = JobService.create(
        settings, redis, bundles, uploads, store, quotas.jobs, audit=audit, changed=changes.publish
    )
    identity.admit = quotas.admit
    connections, proxies = ConnectionTable(ConnectionLimits.of(settings)), Proxies(settings.proxies)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with owning(settings, store.membership):
            spool.open()
            with running_audit(audit, settings), changes.hearing():
                async with connections.sweeping(), identity.running(), jobs.running(), worklist.running_beside():
                    yield {CONNECTIONS: connections, PROXIES: proxies}
        await stages.close()
        await quotas.close()
        with suppress(RedisError):
            results.flush()
        redis.close()

    async def ready() -> None:
        identity.check_ready()
        await bundles.check_ready()

    app = new_app(
        title="Intracranial haemorrhage on head CT",
        ready=ready,
        drain_s=settings.drain_s,
        make=FastAPIOffline,
        description=_DESCRIPTION,
        dependencies=[Depends(check_query)],
        middleware=gateway_middleware(settings, audit),
        lifespan=lifespan,
        static_url=_DOCS_ASSETS,
    )
    compress_mount([*app.routes], _DOCS_ASSETS)
    add_prediction_routes(app, PredictionService(spool, uploads, pipeline, bundles, settings, results.count))
    add_job_routes(app, jobs)
    add_worklist_routes(app, worklist)
    add_feedback_routes(app, FeedbackService(store, redis, changes.publish, settings.max_job_feedback))
    add_slice_routes(app, SliceRenderer(stages.preprocess, settings, registry))
    extend_openapi(app, declare_browser_checks)
    extend_openapi(app, declare_audit)
    extend_openapi(app, declare_quotas)
    add_audit_route(app, settings.audit_file)
    add_login_route(app, settings, {400: INVALID_PARAMETER})
    add_identity(app, identity)
    if audit:
        identity.keys.changed = lambda count: audit.post(keys_event(count))
    for collector in (
        registry,
        QueueMetrics(redis, jobs.store, cache_s=REMOTE_CACHE_S if settings.jobs_url else CACHE_S),
        FeedbackMetrics(redis),
        StageRetryMetrics(stages),
        results,
        OperationMetrics(redis, store.lease, measured_folders(settings)),
        ShareMetrics(uploads, app.state.events.listeners),
        IdentityMetrics(identity),
        ConnectionMetrics(connections, identity.keys.throttle),
    ):
        app.state.metrics.registry.register(collector)
    app.mount("/", _Pages(settings.oidc_issuer))
    return app


def create() -> FastAPI:
    """The gateway with the settings of the environment, for uvicorn."""
    configure_logging("gateway")
    configure_tracing("gateway")
    restrict_umask()
    threading.stack_size(_STACK_BYTES)
    settings = Settings.read()
    app = create_app(connect_all(settings), settings)
    gc.freeze()  # the collector passes over all objects of the start
    return app
