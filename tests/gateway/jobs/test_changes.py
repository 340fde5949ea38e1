"""Messages between the gateways on one storage."""

import logging
from pathlib import Path
from queue import SimpleQueue

import pytest
from redis import Redis

from services.gateway.jobs.changes import Changes, publish_progress
from services.gateway.jobs.job import Job
from services.gateway.jobs.storage import LocalStorage
from tests.gateway.jobs.conditions import wait_until


class Gateway:
    """What a gateway hears."""

    def __init__(self, redis: Redis | None, folder: Path) -> None:
        self.storage = LocalStorage(folder)
        self.heard: SimpleQueue[Job] = SimpleQueue()
        self.missed = 0
        self.progressed: SimpleQueue[Job] = SimpleQueue()
        self.changes = Changes(
            redis, self.storage, changed=self.heard.put, progressed=self.progressed.put, missed=self.miss
        )

    def miss(self) -> None:
        self.missed += 1

    def job(self, name: str) -> Job:
        return Job(self.storage, "ann", name)


def test_a_gateway_hears_the_changes_of_another_and_its_own_once(redis: Redis, tmp_path: Path) -> None:
    first, second = Gateway(redis, tmp_path), Gateway(redis, tmp_path)
    with first.changes.hearing(), second.changes.hearing():
        wait_until(lambda: first.missed and second.missed)
        first.changes.publish(first.job("0a"))
        assert second.heard.get(timeout=60).key == "jobs/ann/0a"
        second.changes.publish(second.job("0b"))
        assert [first.heard.get(timeout=60).id for _ in range(2)] == ["0a", "0b"]
    assert (first.heard.qsize(), second.heard.qsize()) == (0, 1)


def test_all_gateways_hear_the_progress_of_a_worker(redis: Redis, tmp_path: Path) -> None:
    first, second = Gateway(redis, tmp_path), Gateway(redis, tmp_path)
    with first.changes.hearing(), second.changes.hearing():
        wait_until(lambda: first.missed and second.missed)
        publish_progress(redis, first.job("0a"))
        assert [gateway.progressed.get(timeout=60).id for gateway in (first, second)] == ["0a", "0a"]
    assert first.heard.empty()


def test_foreign_messages_are_dropped(redis: Redis, tmp_path: Path) -> None:
    gateway = Gateway(redis, tmp_path)
    with gateway.changes.hearing():
        wait_until(lambda: gateway.missed)
        for message in (b"", b"\xff", b"a b", b"../x 0a id", b"ann ../0a id", b"ann 0a id more", b"x" * 10_000):
            redis.publish("ich:changes", message)
        redis.publish("ich:changes", "ann 0c id")
        assert gateway.heard.get(timeout=60).id == "0c"
    assert gateway.heard.empty()


def test_after_a_lost_connection_it_looks_at_all_jobs_and_hears_again(redis: Redis, tmp_path: Path) -> None:
    gateway = Gateway(redis, tmp_path)
    with gateway.changes.hearing():
        wait_until(lambda: gateway.missed)
        redis.client_kill_filter(_type="pubsub")
        wait_until(lambda: gateway.missed > 1)
        wait_until(lambda: redis.publish("ich:changes", "ann 0d id"))
        assert gateway.heard.get(timeout=60).id == "0d"


def test_a_gateway_alone_tells_itself(tmp_path: Path) -> None:
    gateway = Gateway(None, tmp_path)
    with gateway.changes.hearing():
        gateway.changes.publish(gateway.job("0e"))
    assert gateway.heard.get().id == "0e"


def test_without_redis_a_gateway_tells_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    gateway = Gateway(Redis(port=1), tmp_path)
    with gateway.changes.hearing():
        gateway.changes.publish(gateway.job("0f"))
    assert gateway.heard.get().id == "0f"
    assert caplog.text == ""
