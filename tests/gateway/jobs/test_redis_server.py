from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from services.gateway.jobs.redis_server import command, executable


def test_there_is_a_redis_without_the_systems() -> None:
    assert Path(executable()).is_file()


def test_it_is_this_machines_alone() -> None:
    line = command(Path("here"), 1234)
    assert line[line.index("--bind") + 1] == "127.0.0.1"
    assert line[line.index("--port") + 1] == "1234"


@pytest.mark.parametrize(("name", "value"), [("appendonly", "yes"), ("maxmemory-policy", "noeviction"), ("save", "")])
def test_it_keeps_every_write_and_evicts_nothing(redis: Redis, name: str, value: str) -> None:
    assert redis.config_get(name) == {name: value}


def test_what_does_not_fit_is_refused_and_nothing_is_evicted(redis: Redis) -> None:
    redis.set("kept", "1")
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(OutOfMemoryError):
            redis.set("new", "1")
        assert redis.get("kept") == b"1"
    finally:
        redis.config_set("maxmemory", "256mb")
