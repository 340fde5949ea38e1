"""Tells the gateways on one storage which jobs changed, over Redis. A lost message costs time only: each gateway polls.

ich:changes    channel of `<sender> <job> <random id of the gateway, or worker>`
"""

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from services.common.clients import SENDER_ID
from services.gateway.jobs.job import Job
from services.gateway.jobs.storage import Storage

log = logging.getLogger(__name__)
_CHANNEL: Final = "ich:changes"
_WAIT_S: Final = 1.0
_PAUSE_S: Final = 2.0
_MAX_BYTES: Final = 200
_WORKER: Final = "worker"


def publish_progress(redis: Redis, job: Job) -> None:
    """Tell all gateways that a worker planned or closed a job, or ended a series of it."""
    with suppress(RedisError):
        redis.publish(_CHANNEL, f"{job.sender} {job.id} {_WORKER}")


class Changes:
    """Publishes the changes of this gateway, and hears those of others.

    Parameters
    ----------
    redis
        None where no other gateway shares the storage
    changed
        gets each job that a gateway accepted, changed or deleted, from any thread
    progressed
        gets each job that a worker processed, from any thread
    missed
        called where messages may have been lost
    """

    def __init__(
        self,
        redis: Redis | None,
        storage: Storage,
        *,
        changed: Callable[[Job], None],
        progressed: Callable[[Job], None],
        missed: Callable[[], None],
    ) -> None:
        self._redis = redis
        self._storage = storage
        self._changed = changed
        self._progressed = progressed
        self._missed = missed
        self._id = secrets.token_hex(8)

    def publish(self, job: Job) -> None:
        """Tell this gateway, and all others."""
        self._changed(job)
        if self._redis:
            with suppress(RedisError):
                self._redis.publish(_CHANNEL, f"{job.sender} {job.id} {self._id}")

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Hear the changes of all gateways until the context ends, in a thread."""
        if self._redis is None:
            yield
            return
        ended = threading.Event()
        thread = threading.Thread(target=self._hear_until, args=(self._redis, ended), name="changes", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _hear_until(self, redis: Redis, ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                with redis.pubsub() as subscription:  # type: ignore[no-untyped-call]
                    subscription.subscribe(_CHANNEL)
                    while not ended.is_set():
                        self._hear(subscription.get_message(timeout=_WAIT_S))
            except RedisError:
                ended.wait(_PAUSE_S)
            except Exception:  # without this thread, changes of other gateways show late
                log.exception("changes of other gateways cannot be heard")
                ended.wait(_PAUSE_S)

    def _hear(self, message: Any) -> None:
        """Take a message. Another program may write anything into the channel."""
        if message and message["type"] == "subscribe":
            self._missed()
        if not message or message["type"] != "message" or len(message["data"]) > _MAX_BYTES:
            return
        match message["data"].decode(errors="replace").split(" "):
            case [sender, job_id, origin] if origin != self._id and SENDER_ID.fullmatch(sender) and job_id.isalnum():
                heard = self._progressed if origin == _WORKER else self._changed
                heard(Job(self._storage, sender, job_id))
