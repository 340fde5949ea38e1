from redis import Redis

from services.common.elapsed import Reading
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


def test_a_jump_of_the_clock_adds_an_hour_at_most_to_a_wait(redis: Redis) -> None:
    clock = [Reading("a", 0.0, 0.0)]
    attempts = Attempts(redis, "job-000001", lambda: clock[-1])
    attempts.add_fault(counts=True)
    for reading, expected in (
        (Reading("a", 600.0, 1e9), 600.0),  # a jump within one boot
        (Reading("a", 700.0, -1e9), 700.0),
        (Reading("b", 5.0, 1e9), 700.0 + 3600.0),  # a worker on another machine, with another clock
        (Reading("a", 800.0, 0.0), 700.0 + 3600.0),
        (Reading("a", 900.0, 0.0), 800.0 + 3600.0),
    ):
        clock.append(reading)
        assert attempts.waited_s() == expected


def test_a_wait_that_version_0_2_began_counts_an_hour_at_most(redis: Redis) -> None:
    redis.hset("ich:tries:job-000001", "since", "1000.0")
    attempts = Attempts(redis, "job-000001", lambda: Reading("a", 5.0, 1e9))
    assert [attempts.waited_s(), attempts.waited_s()] == [3600.0, 3600.0]
