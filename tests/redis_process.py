"""A real Redis on a given port, as `make run` starts it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from services.gateway.jobs.redis_server import command


@contextmanager
def running_redis(folder: Path, port: int) -> Iterator[Redis]:
    """Start Redis, wait until it answers, and stop it at the end."""
    process = subprocess.Popen(command(folder, port), stdout=subprocess.DEVNULL)
    client = Redis(port=port)
    try:
        _wait(client)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(20)


def _wait(client: Redis) -> None:
    for _ in range(600):
        try:
            client.ping()
        except RedisError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("Redis does not start")
