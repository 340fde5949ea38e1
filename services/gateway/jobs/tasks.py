"""One turn at the queue: called by RQ, in a process of its own."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial

from redis import Redis
from redis.exceptions import RedisError

from services.common.problems import NotFound
from services.gateway.jobs import metrics
from services.gateway.jobs.attempts import Attempts
from services.gateway.jobs.connection import connect_redis
from services.gateway.jobs.processing import Deferred, TaskContext, TaskResult, do
from services.gateway.jobs.scheduler import FairScheduler, Lane, Task
from services.gateway.jobs.schemas import Priority
from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from services.gateway.stage_client import StageFault, connect_all

log = logging.getLogger(__name__)
Work = Callable[[Attempts, int], TaskResult | None]


def run_ticket(priority: Priority, sender: str, number: int, turn: str) -> None:
    """Work on the lane's next series, over the same connections as long as the turn goes on.

    No exception leaves, for RQ would keep its words in Redis; a lane that is left as it is is mended by the gateway.
    """
    settings = read_settings()
    redis = connect_redis(settings)
    scheduler = FairScheduler(redis, JobStore.at(settings.jobs_dir, settings.jobs_url), settings.job_lanes)
    with asyncio.Runner() as runner:
        stages = connect_all(settings)

        def work(task: Task, tries: Attempts, lost: int) -> TaskResult | None:
            return runner.run(do(task, TaskContext(stages, settings, tries), lost))

        try:
            scheduler.process_ticket(
                Lane(priority, sender, number), turn, lambda task: run_task(task, redis, partial(work, task))
            )
        except (RedisError, OSError):
            log.exception("a turn was broken off")
        finally:
            runner.run(stages.close())


def run_task(task: Task, redis: Redis, work: Work, *, full_disk_pause_s: float = 3.0) -> bool:
    """Do a task, or leave it for a later turn, and say False.

    full_disk_pause_s : what a full store is given to get room
    """
    tries, fields = Attempts(redis, task.id), {"task": task.id}
    lost = tries.begin()
    try:
        done = work(tries, lost)
    except Deferred:
        tries.back()
        return False
    except NotFound:
        tries.clear()
    except OSError as error:
        tries.back()
        if not task.job.ended() and task.job.exists():  # a full disk is nobody's series' fault
            log.error("the store is full or broken", extra={"fields": {**fields, "errno": error.errno}})  # noqa: TRY400
            time.sleep(full_disk_pause_s)
        return False
    except Exception:  # what is not understood is tried again, three times
        log.exception("a turn failed", extra={"fields": fields})
        return False
    else:
        tries.clear()
        if done:
            metrics.count(redis, done.outcome, done.cause)
            log.info("a turn ended", extra={"fields": {**fields, "outcome": done.outcome or "planned"}})
    return True


def warm_up() -> None:
    """Import what the first request does, once for all processes that are forked: it takes as long as a turn."""
    with suppress(StageFault):
        asyncio.run(_ask(read_settings()))


async def _ask(settings: Settings) -> None:
    stages = connect_all(settings)
    try:
        await stages.preprocess.ready()
    finally:
        await stages.close()


@cache
def read_settings() -> Settings:
    """Once for a worker and all the processes that it forks."""
    return Settings.read()
