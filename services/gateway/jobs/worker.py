"""`python -m services.gateway.jobs.worker`: takes turns at the queue, in a process of its own for each."""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from functools import cache

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from rq import Worker
from rq.serializers import JSONSerializer

from services.common.observability import configure_logging
from services.gateway.jobs import figures
from services.gateway.jobs.lanes import Lane, Lanes, Task, queue_name
from services.gateway.jobs.schemas import PRIORITIES, Priority
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.work import Bench, Done, do
from services.gateway.settings import Settings
from services.gateway.stages import connect_all

log = logging.getLogger(__name__)
_TRIES_KEPT_S = 7 * 24 * 3600
_STORE_REST_S = 3.0


def take_turn(priority: Priority, sender: str, number: int, turn: str) -> None:
    """Work on the lane's next series; called by RQ in a process of its own."""
    settings = _settings()
    redis = connect_redis(settings)
    lanes = Lanes(redis, JobStore(settings.jobs_dir), settings.job_lanes)
    lane = Lane(priority, sender, number)
    with lanes.turn(lane, turn) as mine:
        if not mine:
            return
        task = lanes.next_task(lane)
        if task:
            _work(task, settings, redis)
    if lanes.next_task(lane):
        lanes.go_on(lane)
    else:
        lanes.rest(lane)
    if task and task.number is None:
        lanes.wake(priority, sender)


def _work(task: Task, settings: Settings, redis: Redis) -> None:
    """Whatever happens, words of an exception never leave: RQ would keep them in Redis."""
    name = "plan" if task.number is None else str(task.number)
    fields = {"job": task.job.id, "unit": name}
    key = f"ich:tries:{task.job.id}:{name}"
    try:
        done = asyncio.run(_do(task, settings, _count_try(redis, key)))
    except OSError as error:  # a full disk is nobody's series' fault
        log.error("the store cannot be written", extra={"fields": {**fields, "errno": error.errno}})  # noqa: TRY400
        redis.decr(key)
        time.sleep(_STORE_REST_S)
        return
    except Exception:  # what is not understood is tried again, three times
        log.exception("a turn failed", extra={"fields": fields})
        return
    redis.delete(key)
    if done:
        figures.count(redis, done.outcome, done.cause)
        log.info("a turn ended", extra={"fields": {**fields, "outcome": done.outcome or "planned"}})


async def _do(task: Task, settings: Settings, tries: int) -> Done | None:
    stages = connect_all(settings)
    try:
        return await do(task, Bench(stages, settings), tries)
    finally:
        await stages.close()


def _count_try(redis: Redis, key: str) -> int:
    """How often this was begun; what ends as it should takes its count back."""
    tries = int(redis.incr(key))
    redis.expire(key, _TRIES_KEPT_S)
    return tries


def connect_redis(settings: Settings) -> Redis:
    """Redis by its address."""
    return Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=2,
        retry=Retry(ExponentialBackoff(cap=1, base=0.1), 3),
    )


@cache
def _settings() -> Settings:
    return Settings.read()


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until a signal; the series in hand is finished first."""
    parser = argparse.ArgumentParser(prog="python -m services.gateway.jobs.worker", description=__doc__)
    parser.add_argument(
        "queues", nargs="*", default=list(PRIORITIES), help="urgent, routine: what to take, the first first"
    )
    queues = parser.parse_args(arguments).queues
    if unknown := set(queues) - set(PRIORITIES):
        parser.error(f"there is no queue {', '.join(sorted(unknown))}")
    configure_logging("worker")
    logging.getLogger("rq").setLevel(logging.WARNING)
    settings = _settings()
    redis = connect_redis(settings)
    worker = Worker(
        [queue_name(priority) for priority in queues],
        connection=redis,
        serializer=JSONSerializer,
        log_job_description=False,
    )
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    try:
        worker.work(with_scheduler=False, logging_level=None)
    except RedisConnectionError:
        log.error("the queue cannot be reached")  # noqa: TRY400 - there is nothing more to say of it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
