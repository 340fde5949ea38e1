"""The queue of tickets in this process; test_worker.py runs the worker's processes."""

import logging
from typing import Any, Final

import pytest
from redis import Redis
from rq.exceptions import DequeueTimeout
from rq.serializers import JSONSerializer

from services.gateway.jobs.scheduler import queue_name
from services.gateway.jobs.ticket_call import TicketCall
from services.gateway.jobs.ticket_worker import TicketJob, TicketQueue, TicketWorker
from tests.gateway.jobs.hostile_calls import TOUCH, packed

TICKET: Final = "0123456789abcdef"
CALL: Final[list[Any]] = ["services.gateway.jobs.tasks.run_ticket", None, ["urgent", "ann", 0, TICKET], {}]


@pytest.fixture
def worker(redis: Redis) -> TicketWorker:
    queues = [queue_name("urgent"), queue_name("routine")]
    return TicketWorker(queues, connection=redis, serializer=JSONSerializer)


def _queue(redis: Redis, ticket: str, call: object, name: str = "ich-urgent") -> None:
    redis.hset(f"rq:job:{ticket}", mapping={"data": packed(call), "success_callback_name": TOUCH})
    redis.rpush(f"rq:queue:{name}", ticket)


def _next(worker: TicketWorker, redis: Redis) -> TicketJob | None:
    found = TicketQueue.dequeue_any(worker.queues, None, redis)
    if found is None:
        return None
    assert isinstance(found[0], TicketJob)
    return found[0]


def test_a_ticket_is_taken_once_and_leaves_nothing(worker: TicketWorker, redis: Redis) -> None:
    _queue(redis, TICKET, CALL)
    job = _next(worker, redis)
    assert job
    assert job.call == TicketCall("urgent", "ann", 0, TICKET)
    assert job.success_callback is None
    assert redis.keys("rq:job:*") == redis.keys("rq:queue:*") == []
    redis.rpush("rq:queue:ich-urgent", TICKET)
    assert _next(worker, redis) is None, "a repeated id has no call any more"


def test_urgent_tickets_come_first_and_foreign_entries_are_dropped(
    worker: TicketWorker, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    routine = "f" * 16
    _queue(redis, routine, [CALL[0], None, ["routine", "ann", 0, routine], {}], "ich-routine")
    _queue(redis, "a" * 16, [TOUCH, None, ["urgent", "ann", 0, "a" * 16], {}])
    redis.rpush("rq:queue:ich-urgent", b"\xff", "../x")
    redis.set("rq:job:" + "b" * 16, "no hash")
    redis.rpush("rq:queue:ich-urgent", "b" * 16)
    _queue(redis, TICKET, CALL)
    assert [job.id for job in (_next(worker, redis), _next(worker, redis)) if job] == [TICKET, routine]
    kinds = [record.__dict__["fields"]["kind"] for record in caplog.records]
    assert kinds == ["another function", "another id", "another id", "no data, or too much"]


def test_an_empty_queue_times_out_as_rqs_own(worker: TicketWorker, redis: Redis) -> None:
    with pytest.raises(DequeueTimeout):
        TicketQueue.dequeue_any(worker.queues, 1, redis)


def test_a_worker_takes_no_commands_and_cleans_nothing(worker: TicketWorker, redis: Redis) -> None:
    redis.set("rq:suspended", 1)
    worker.check_for_suspension(burst=False)
    worker.subscribe()
    worker.unsubscribe()
    assert worker.pubsub is None
    assert not worker.should_run_maintenance_tasks
