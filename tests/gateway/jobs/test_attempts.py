from redis import Redis

from services.gateway.jobs.attempts import Attempts


def test_what_was_begun_and_did_not_come_back_is_counted(redis: Redis) -> None:
    attempts = Attempts(redis, "job-000001")
    assert [attempts.begin(), attempts.begin()] == [0, 1]
    attempts.survived()
    assert attempts.begin() == 1
    assert Attempts(redis, "job-000002").begin() == 0


def test_faults_are_counted_from_the_first_on(redis: Redis) -> None:
    attempts = Attempts(redis, "job-000001")
    assert attempts.waited_s() == 0
    assert [attempts.add_fault(counts=True), attempts.add_fault(counts=False), attempts.add_fault(counts=True)] == [
        1,
        1,
        2,
    ]
    assert attempts.waited_s() > 0


def test_nothing_is_left_at_the_end(redis: Redis) -> None:
    attempts = Attempts(redis, "job-000001")
    attempts.begin()
    assert redis.ttl("ich:tries:job-000001") > 0
    attempts.add_fault(counts=True)
    attempts.clear()
    assert redis.keys("ich:*") == []
