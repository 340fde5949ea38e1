import os
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from services.gateway.jobs.redis_server import executable, prepare
from tests.another_user import NOBODY, needs_root, open_folder


def test_a_redis_server_is_found() -> None:
    assert Path(executable()).is_file()


def test_redis_listens_on_no_port(redis: Redis) -> None:
    assert redis.config_get("port") == {"port": "0"}
    assert redis.config_get("unixsocketperm") == {"unixsocketperm": "700"}


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


def test_a_socket_with_a_long_path_is_refused_with_the_remedy(tmp_path: Path) -> None:
    long = Path("/tmp") / ("x" * 100) / "redis.sock"  # noqa: S108 - never made
    with pytest.raises(SystemExit, match=r"has 116 bytes; the path of a socket may have 107: set REDIS_SOCKET"):
        prepare(tmp_path / "data", long)


def test_the_socket_of_a_running_redis_is_not_taken_over(redis: Redis, tmp_path: Path) -> None:
    path = Path(redis.connection_pool.connection_kwargs["path"])
    with pytest.raises(SystemExit, match=r"socket of a running Redis: stop that"):
        prepare(tmp_path, path)


@needs_root
def test_the_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    with open_folder() as shared:
        (shared / "ich").mkdir()
        os.chown(shared / "ich", NOBODY, NOBODY)
        with pytest.raises(SystemExit, match=r"belongs to the user with id 65534.*set REDIS_SOCKET"):
            prepare(tmp_path / "data", shared / "ich" / "redis.sock")


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"file.*set REDIS_SOCKET"):
        prepare(tmp_path / "data", tmp_path / "file" / "ich" / "redis.sock")
