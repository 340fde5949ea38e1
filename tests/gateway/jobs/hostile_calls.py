"""Entries of a queue that another program with access to Redis could leave, each after one feature of RQ.

`touch` records its calls in a file, which a worker that runs no foreign call never makes.
"""

import json
import os
import pickle
import time
import zlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from redis import Redis

from services.gateway.jobs.ticket_call import FUNCTION

QUEUE: Final = "ich-routine"
TOUCH: Final = "tests.gateway.jobs.hostile_calls.touch"
MARK: Final = "HOSTILE_CALLS_MARK"


def touch(*words: Any) -> None:
    """Record the call."""
    with Path(os.environ[MARK]).open("a") as file:
        file.write(f"{words!r}\n")


class Touching:
    """Calls `touch` when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return touch, ("unpickled",)


def ours(ticket: str) -> list[Any]:
    """A well-formed call of a stale ticket."""
    return [FUNCTION, None, ["routine", "nobody", 0, ticket], {}]


def packed(call: Any) -> bytes:
    """A call as RQ stores it."""
    return zlib.compress(json.dumps(call).encode())


@cache
def _bomb() -> bytes:
    return zlib.compress(bytes(50_000_000))


def hostile_fields(ticket: str, address: str) -> dict[str, dict[Any, Any]]:
    """Fields of RQ's hash of a job, by the feature of RQ that would run something.

    Parameters
    ----------
    address
        of a web server, for RQ's own webhooks
    """
    good = {"data": packed(ours(ticket)), "status": "queued", "origin": QUEUE}
    evil: list[Any] = [TOUCH, None, ["function"], {}]
    webhook = {"url": address, "job_status": "finished", "method": "GET", "headers": None, "timeout": 2}
    return {
        "function": {**good, "data": packed(evil)},
        "plain data": {**good, "data": json.dumps(evil).encode()},
        "pickled data": {**good, "data": zlib.compress(pickle.dumps(Touching()))},
        "pickled meta": {**good, "meta": pickle.dumps(Touching())},
        "pickled result": {**good, "result": pickle.dumps(Touching())},
        "instance": {**good, "data": packed([TOUCH, "text", ["instance"], {}])},
        "keywords": {**good, "data": packed([TOUCH, None, [], {}])},
        "success callback": {**good, "success_callback_name": TOUCH},
        "failure callback": {**good, "data": packed(["no.such", None, [], {}]), "failure_callback_name": TOUCH},
        "stopped callback": {**good, "stopped_callback_name": TOUCH},
        "webhook": {**good, "webhooks": json.dumps([webhook])},
        "retry": {**good, "data": packed(["no.such", None, [], {}]), "retries_left": "9", "retry_intervals": "[0]"},
        "repeat": {**good, "repeats_left": "1000", "repeat_intervals": "[0]"},
        "dependency": {**good, "dependency_ids": json.dumps(["ffffffffffffffff"])},
        "rate limit": {**good, "rate_limit_key": "x", "rate_limit_concurrency": "1"},
        "group": {**good, "group_id": "x"},
        "status": {**good, "status": "no status"},
        "times": {**good, "created_at": "no time", "timeout": "no number"},
        "traversal": {**good, "data": packed([FUNCTION, None, ["routine", "../../../tmp", 0, ticket], {}])},
        "bomb": {**good, "data": _bomb()},
        "large data": {**good, "data": b"x" * 50_000_000},
        "no data": {"status": "queued"},
    }


def leave_abandoned(redis: Redis) -> None:
    """Leave an abandoned job and a ready one, for RQ's maintenance to call back, and to queue; and suspend workers."""
    abandoned, ready = "a" * 16, "b" * 16
    fields: dict[Any, Any] = {
        "data": packed(ours(abandoned)),
        "status": "started",
        "origin": QUEUE,
        "failure_callback_name": TOUCH,
    }
    redis.hset(f"rq:job:{abandoned}", mapping=fields)
    redis.zadd(f"rq:wip:{QUEUE}", {f"{abandoned}:0": time.time() - 1000})
    evil: dict[Any, Any] = {**fields, "status": "ready_to_enqueue", "data": packed([TOUCH, None, ["ready"], {}])}
    redis.hset(f"rq:job:{ready}", mapping=evil)
    redis.zadd(f"rq:ready:{QUEUE}", {ready: 0})
    redis.rpush(f"rq:queue:{QUEUE}:intermediate", b"\xff\xfe")
    redis.set("rq:suspended", 1)
