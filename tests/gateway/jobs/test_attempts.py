from redis import Redis

from services.gateway.jobs.attempts import Attempts


def test_attempts_of_lost_workers_are_counted(redis: Redis) -> None:
    attempts = Attempts(redis, "job-000001")
    assert [attempts.begin(), attempts.begin()] == [0, 1]
    attempts.survived()
    assert attempts.begin() == 1
    assert Attempts(redis, "job-000002").begin() == 0


def test_faults_are_counted_and_timed_from_the_first(redis: Redis) -> None:
    attempts = Attempts(redis, "job-000001")
    assert attempts.waited_s() == 0
    assert [attempts.add_fault(counts=counts) for counts in (True, False, True)] == [1, 1, 2]
    assert attempts.waited_s() > 0


def test_clear_removes_the_counters(redis: Redis) -> None:
    attempts = Attempts(redis, "job-000001")
    attempts.begin()
    assert redis.ttl("ich:tries:job-000001") > 0
    attempts.add_fault(counts=True)
    attempts.clear()
    assert redis.keys("ich:*") == []
