"""RQ's worker, reduced to tickets: it runs `run_ticket` and nothing else that Redis names.

A program that can write to Redis must not be able to run code here. RQ takes more from Redis than a function:

- callbacks, webhooks, retries, repetitions, dependents, groups and rate limits of a job,
- abandoned jobs in its registries, whose callbacks a worker runs while it cleans,
- commands on a channel of each worker, and a key that suspends all workers.

None of these is read here. A ticket is claimed by deleting its call, so nothing remains to clean.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import astuple
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import HorseMonitorTimeoutException
from rq.utils import as_text
from rq.worker.base import WorkerStatus

from services.common.tracing import flush_tracing
from services.gateway.jobs.tasks import read_settings, run_ticket
from services.gateway.jobs.ticket_call import MAX_CALL_BYTES, ForeignCall, TicketCall, is_ticket, parse_call

log = logging.getLogger(__name__)


class TicketJob(Job):
    """A job of RQ that holds a checked call, and no other attribute from Redis."""

    call: TicketCall

    def refresh(self) -> None:
        """Take the call out of Redis.

        Raises
        ------
        ForeignCall
            Redis holds another call, or none
        """
        self.call = parse_call(self._take_data(), self.id, read_settings().job_lanes)

    def perform(self) -> None:
        """Process the ticket."""
        run_ticket(*astuple(self.call))

    def _take_data(self) -> bytes | None:
        try:
            size = self.connection.hstrlen(self.key, "data")
            data: Any = self.connection.hget(self.key, "data") if int(size) <= MAX_CALL_BYTES else None
        except ResponseError:  # the key holds no hash
            data = None
        self.connection.delete(self.key)
        return data if isinstance(data, bytes) else None


class TicketQueue(Queue):
    """A queue of RQ that yields tickets, and drops all other entries."""

    job_class = TicketJob

    @classmethod
    def dequeue_any(
        cls,
        queues: Iterable[Queue],
        timeout: int | None,
        connection: Redis,
        job_class: Any = None,  # noqa: ARG003
        serializer: Any = None,  # noqa: ARG003
        death_penalty_class: Any = None,  # noqa: ARG003
    ) -> tuple[Job, Queue] | None:
        """The next ticket of the first queue that has one; None, or RQ's DequeueTimeout, after the timeout."""
        by_key = {queue.key: queue for queue in queues}
        while found := cls.lpop(list(by_key), timeout, connection=connection):
            key, entry = found
            try:
                return _fetch(entry, connection), by_key[as_text(key)]
            except ForeignCall as kind:
                log.warning("an entry of the queue is no ticket; it was dropped", extra={"fields": {"kind": str(kind)}})
        return None


def _fetch(entry: bytes, connection: Redis) -> TicketJob:
    ticket = entry.decode("latin-1")
    if not is_ticket(ticket):
        raise ForeignCall("another id")
    job = TicketJob(ticket, connection=connection, serializer=JSONSerializer)
    job.refresh()
    return job


def _nothing() -> None:
    """Leave nothing behind."""


class TicketWorker(Worker):
    """A worker that forks a process for each ticket and waits for it.

    clean_up : called after each process, which may have been killed
    """

    job_class = TicketJob
    queue_class = TicketQueue
    clean_up: Callable[[], None] = staticmethod(_nothing)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Process a ticket in a process of its own. The outcome is in the store; RQ keeps no result."""
        self.set_state(WorkerStatus.BUSY)
        self.fork_work_horse(job, queue)
        while not self._horse_ended():
            with contextlib.suppress(RedisError):
                self.heartbeat(self.job_monitoring_interval + 60)
        self._horse_pid = 0
        self.clean_up()
        self.set_state(WorkerStatus.IDLE)

    def _horse_ended(self) -> bool:
        """Whether the process of the ticket ends within `job_monitoring_interval` seconds."""
        try:
            with self.death_penalty_class(self.job_monitoring_interval, HorseMonitorTimeoutException):
                self.wait_for_horse()
        except HorseMonitorTimeoutException:
            return False
        return True

    def main_work_horse(self, job: Job, queue: Queue) -> None:  # noqa: ARG002 - RQ's signature
        """The forked process. It ends here, so that it never runs the worker's code after the fork."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker ends after its ticket
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._is_horse = True
        try:
            job.perform()
            flush_tracing()
        except BaseException:
            log.exception("a ticket ended with an exception")
            os._exit(1)
        os._exit(0)

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Never: a ticket's call is deleted when it is taken, and registries are not used."""
        return False

    def check_for_suspension(self, burst: bool) -> None:  # noqa: FBT001 - RQ's signature
        """Nothing: a key in Redis suspends no worker."""

    def subscribe(self) -> None:
        """Nothing: a worker takes no commands."""

    def unsubscribe(self) -> None:
        """Nothing: a worker takes no commands."""
