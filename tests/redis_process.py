"""A real Redis on a socket, as `make run` starts it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from services.gateway.jobs.redis_server import command, prepare


@contextmanager
def running_redis(folder: Path, *options: str) -> Iterator[Redis]:
    """Start Redis with the socket `redis.sock` in a folder, wait until it answers, and stop it at the end."""
    socket = folder / "redis.sock"
    prepare(folder, socket)
    process = subprocess.Popen([*command(folder, socket), *options], stdout=subprocess.DEVNULL)
    client = Redis(unix_socket_path=str(socket))
    try:
        _wait(client)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(20)


def redis_url(client: Redis) -> str:
    """The URL of a client's socket, for settings."""
    return f"unix://{client.connection_pool.connection_kwargs['path']}"


def _wait(client: Redis) -> None:
    for _ in range(600):
        try:
            client.ping()
        except RedisError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("Redis does not start")
