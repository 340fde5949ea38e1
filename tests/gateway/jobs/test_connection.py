import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from services.gateway.jobs.connection import connect_redis
from services.gateway.settings import Settings
from tests.redis_process import redis_url, running_redis
from tests.running import ROOT

PASSWORD = "a-password-of-redis"  # noqa: S105 - of this test's Redis


@pytest.fixture
def guarded(tmp_path: Path) -> object:
    """A Redis that asks for a password."""
    with running_redis(tmp_path / "redis") as redis:
        redis.config_set("requirepass", PASSWORD)
        yield redis


def _settings(redis: Redis, password_file: Path | None) -> Settings:
    return Settings(redis_url=redis_url(redis), redis_password_file=password_file)


def _file(folder: Path, content: str) -> Path:
    path = folder / "password"
    path.write_text(content)
    return path


def test_the_password_of_the_file_opens_redis(guarded: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect_redis(_settings(guarded, _file(tmp_path, f"{PASSWORD}\n")))
    assert client.ping()
    assert PASSWORD not in repr(client) + caplog.text


@pytest.mark.parametrize("content", [None, "another-password"])
def test_redis_refuses_a_client_without_the_password(guarded: Redis, tmp_path: Path, content: str | None) -> None:
    file = _file(tmp_path, content) if content else None
    with pytest.raises(AuthenticationError) as refused:
        connect_redis(_settings(guarded, file)).ping()
    assert "another-password" not in str(refused.value)


def test_an_empty_file_stops_the_start(redis: Redis, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"password, named by ICH_GATEWAY_REDIS_PASSWORD_FILE, is empty"):
        connect_redis(_settings(redis, _file(tmp_path, "\n")))


def test_a_worker_with_a_wrong_password_names_the_setting_and_not_the_password(guarded: Redis, tmp_path: Path) -> None:
    settings = {"REDIS_URL": redis_url(guarded), "REDIS_PASSWORD_FILE": str(_file(tmp_path, "another-password"))}
    environment = {**os.environ, **{f"ICH_GATEWAY_{name}": value for name, value in settings.items()}}
    environment["ICH_GATEWAY_JOBS_DIR"] = str(tmp_path / "jobs")
    command = [sys.executable, "-m", "services.gateway.jobs.worker"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "ICH_GATEWAY_REDIS_PASSWORD_FILE" in ended.stderr
    assert "another-password" not in ended.stderr
