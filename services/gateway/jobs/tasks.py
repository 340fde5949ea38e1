"""The function that RQ's workers call, in a process of its own for each ticket."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import cache, partial
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from services.common.problems import NotFound
from services.common.tracer import Span
from services.gateway.jobs import metrics
from services.gateway.jobs.attempts import Attempts
from services.gateway.jobs.changes import publish_progress
from services.gateway.jobs.connection import connect_redis
from services.gateway.jobs.job_traces import JobTraces
from services.gateway.jobs.lane_state import Lane
from services.gateway.jobs.patient_key import patient_key
from services.gateway.jobs.processing import Deferred, TaskContext, TaskResult, process_task
from services.gateway.jobs.result_metrics import count_report
from services.gateway.jobs.scheduler import FairScheduler, Task
from services.gateway.jobs.schemas import Priority
from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from services.gateway.severities import Severities, read_severities
from services.gateway.stages.stage_client import connect_all
from services.gateway.stages.stage_problems import StageFault

log = logging.getLogger(__name__)
Process = Callable[[Attempts, int], TaskResult | None]
_FULL_DISK_PAUSE_S: Final = 3.0


def run_ticket(priority: Priority, sender: str, number: int, ticket: str) -> None:
    """Process the tasks of a ticket, over the same connections.

    No exception leaves, since RQ would store its message in Redis. The gateway reconciles a lane that is left behind.
    """
    settings = read_settings()
    redis = connect_redis(settings)
    store = JobStore.at(settings.jobs_dir, settings.jobs_url)
    if settings.jobs_url:
        store.progressed = partial(publish_progress, redis)
    scheduler = FairScheduler(redis, store, settings.job_lanes)
    traces = JobTraces(redis)
    with asyncio.Runner() as runner:
        stages = connect_all(settings)

        def process(task: Task, attempts: Attempts, lost_workers: int) -> TaskResult | None:
            key = patient_key(store.storage, settings.patient_key_file)
            context = TaskContext(stages, settings, attempts, severities=read_site_severities(), patient_key=key)
            return runner.run(process_task(task, context, lost_workers), context=copy_context())

        def traced(task: Task) -> bool:
            with traces.processing(task.job.id, task.id, priority) as span:
                try:
                    return run_task(task, redis, partial(process, task), span)
                finally:
                    store.progressed(task.job)

        try:
            scheduler.process_ticket(Lane(priority, sender, number), ticket, traced)
        except (RedisError, OSError):
            log.exception("a ticket ended early: Redis or the store failed; the gateway issues the lane's next ticket")
        finally:
            with suppress(RedisError):
                metrics.count_stage_retries(redis, stages)
            runner.run(stages.close())


def run_task(
    task: Task,
    redis: Redis,
    process: Process,
    span: Span | None = None,
    *,
    full_disk_pause_s: float = _FULL_DISK_PAUSE_S,
) -> bool:
    """Process a task and count the attempt; False where the task is left for a later ticket.

    Parameters
    ----------
    full_disk_pause_s
        pause after an error of the store, which may be full
    """
    attempts, fields = Attempts(redis, task.id), {"task": task.id}
    lost_workers = attempts.begin()
    try:
        result = process(attempts, lost_workers)
    except Deferred:
        attempts.survived()
        return False
    except NotFound:
        attempts.clear()
    except OSError as error:  # no fault of the series
        attempts.survived()
        if not task.job.ended() and task.job.exists():
            log.error("the store of jobs is full or broken", extra={"fields": {**fields, "errno": error.errno}})  # noqa: TRY400
            time.sleep(full_disk_pause_s)
        return False
    except Exception:  # counts as a lost worker, so that the task is tried a few times
        log.exception("a task failed unexpectedly", extra={"fields": fields})
        return False
    else:
        attempts.clear()
        if result:
            metrics.count_result(redis, result.outcome, result.cause)
            if result.report:
                count_report(redis, result.report)
            if span:
                span.set("ich.outcome", result.outcome or "planned")
            log.info("a task ended", extra={"fields": {**fields, "outcome": result.outcome or "planned"}})
    return True


def warm_up() -> None:
    """Import the modules of a first request, once for all forked processes: it takes as long as a series."""
    with suppress(StageFault):
        asyncio.run(_ask_preprocess(read_settings()))


async def _ask_preprocess(settings: Settings) -> None:
    stages = connect_all(settings)
    try:
        await stages.preprocess.ready()
    finally:
        await stages.close()


@cache
def read_settings() -> Settings:
    """The settings, read once for a worker and its forked processes."""
    return Settings.read()


@cache
def read_site_severities() -> Severities:
    """The site's severities, read once for a worker and its forked processes."""
    return read_severities(read_settings().acceptance_file)
