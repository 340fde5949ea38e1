from redis import Redis

from services.gateway.jobs.attempts import Attempts


def test_what_was_begun_and_did_not_come_back_is_counted(redis: Redis) -> None:
    tries = Attempts(redis, "job-000001")
    assert [tries.begin(), tries.begin()] == [0, 1]
    tries.back()
    assert tries.begin() == 1
    assert Attempts(redis, "job-000002").begin() == 0


def test_faults_are_counted_from_the_first_on(redis: Redis) -> None:
    tries = Attempts(redis, "job-000001")
    assert tries.waited_s() == 0
    assert [tries.fault(counts=True), tries.fault(counts=False), tries.fault(counts=True)] == [1, 1, 2]
    assert tries.waited_s() > 0


def test_nothing_is_left_at_the_end(redis: Redis) -> None:
    tries = Attempts(redis, "job-000001")
    tries.begin()
    assert redis.ttl("ich:tries:job-000001") > 0
    tries.fault(counts=True)
    tries.clear()
    assert redis.keys("ich:*") == []
