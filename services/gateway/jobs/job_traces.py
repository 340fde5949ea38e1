"""The trace of the request that sent a job, so that the job's tasks and its webhook belong to it.

ich:trace:<job>    traceparent (W3C Trace Context), with a time to live; only while traces are on
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final, Protocol

from redis.exceptions import RedisError

from services.common.tracer import Span
from services.common.tracing import current_traceparent, is_tracing, span
from services.gateway.jobs.schemas import Priority

_TTL_S: Final = 7 * 24 * 3600
_SYSTEM: Final = {"messaging.system": "rq"}


class Values(Protocol):
    """The commands of Redis for single values."""

    def set(self, name: str, value: str, *, ex: int) -> Any:
        """Store a value for so many seconds."""

    def get(self, name: str, /) -> Any:
        """The value as bytes; None without one."""


class JobTraces:
    """Passes the trace of a request on to other processes. Redis may lose it: then a task begins a new trace."""

    def __init__(self, redis: Values) -> None:
        self._redis = redis

    @contextmanager
    def sending(self, job_id: str, priority: Priority) -> Iterator[None]:
        """The span in which a job gets its tickets."""
        attributes = {**_SYSTEM, **_operation("send"), "messaging.destination.name": f"ich-{priority}"}
        with span(f"send ich-{priority}", "producer", attributes):
            if traceparent := current_traceparent():
                with suppress(RedisError):
                    self._redis.set(_key(job_id), traceparent, ex=_TTL_S)
            yield

    def processing(self, job_id: str, task_id: str, priority: Priority) -> AbstractContextManager[Span]:
        """The span of a task of a job."""
        attributes = {
            **_SYSTEM,
            **_operation("process"),
            "messaging.destination.name": f"ich-{priority}",
            "messaging.message.id": task_id,
        }
        return span(f"process ich-{priority}", "consumer", attributes, self.parent(job_id))

    def parent(self, job_id: str) -> str | None:
        """The traceparent of the request; None while traces are off, or where Redis lost it."""
        with suppress(RedisError):
            found = self._redis.get(_key(job_id)) if is_tracing() else None
            return found.decode(errors="replace") if isinstance(found, bytes) else None
        return None


def _operation(name: str) -> dict[str, str]:
    return {"messaging.operation.name": name, "messaging.operation.type": name}


def _key(job_id: str) -> str:
    return f"ich:trace:{job_id}"
