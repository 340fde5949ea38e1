from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from services.gateway.jobs.redis_server import command, executable


def test_a_redis_server_is_found() -> None:
    assert Path(executable()).is_file()


def test_redis_binds_to_loopback_only() -> None:
    line = command(Path("here"), 1234)
    assert line[line.index("--bind") + 1] == "127.0.0.1"
    assert line[line.index("--port") + 1] == "1234"


@pytest.mark.parametrize(("name", "value"), [("appendonly", "yes"), ("maxmemory-policy", "noeviction"), ("save", "")])
def test_redis_appends_every_write_and_never_evicts(redis: Redis, name: str, value: str) -> None:
    assert redis.config_get(name) == {name: value}


def test_a_full_redis_refuses_writes_and_keeps_its_keys(redis: Redis) -> None:
    redis.set("kept", "1")
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(OutOfMemoryError):
            redis.set("new", "1")
        assert redis.get("kept") == b"1"
    finally:
        redis.config_set("maxmemory", "256mb")
