from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from services.gateway.jobs.store import JobStore
from tests.gateway.jobs.factories import unsynced
from tests.redis_process import running_redis


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
def redis(redis_process: Redis) -> Redis:
    redis_process.flushall()
    return redis_process


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    found = unsynced(tmp_path / "store")
    found.recover()
    return found
