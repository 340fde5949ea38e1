import pytest
from redis import Redis

from services.gateway.jobs.lane_state import Lane, LaneStates

LANE = Lane("urgent", "ann", 3)


@pytest.fixture
def states(redis: Redis) -> LaneStates:
    return LaneStates(redis)


def test_a_lane_has_one_ticket(states: LaneStates) -> None:
    assert not states.has_ticket(LANE)
    assert states.claim(LANE, "first")
    assert not states.claim(LANE, "second")
    assert states.waiting_ticket(LANE) == "first"
    states.replace(LANE, "second")
    assert states.waiting_ticket(LANE) == "second"
    states.release(LANE)
    assert not states.has_ticket(LANE)


def test_a_leased_lane_runs_its_ticket_and_refuses_others(states: LaneStates, redis: Redis) -> None:
    states.claim(LANE, "first")
    with states.leased(LANE, "stale") as valid:
        assert not valid
    with states.leased(LANE, "first") as valid:
        assert valid
        assert states.has_ticket(LANE)
        assert states.waiting_ticket(LANE) is None
        assert 0 < redis.ttl(LANE.key) <= 20
        with states.leased(LANE, "first") as again:
            assert not again


def test_keys_and_values_are_those_of_version_0_2_0(states: LaneStates, redis: Redis) -> None:
    states.claim(LANE, "first")
    assert redis.get("ich:lane:urgent:ann:3") == b"waiting:first"
    with states.leased(LANE, "first"):
        assert redis.get("ich:lane:urgent:ann:3") == b"running:first"


def test_a_task_in_progress_is_left_to_its_lane(states: LaneStates, redis: Redis) -> None:
    other = Lane("routine", "ann", 3)
    with states.working(LANE, "job-000001"):
        assert redis.get("ich:work:job-000001") == b"urgent"
        assert 0 < redis.ttl("ich:work:job-000001") <= 20, "a killed worker's tasks are free soon"
        assert states.is_worked_elsewhere(other, "job-000001")
        assert not states.is_worked_elsewhere(LANE, "job-000001")
    assert not states.is_worked_elsewhere(other, "job-000001")


def test_a_lease_that_a_jump_of_redis_clock_made_longer_is_shortened(states: LaneStates, redis: Redis) -> None:
    redis.set(LANE.key, "running:first", ex=86_400)
    states.bound_lease(LANE)
    assert 0 < redis.ttl(LANE.key) <= 20
    states.replace(LANE, "second")
    states.bound_lease(LANE)
    assert redis.ttl(LANE.key) == -1, "a ticket in the queue has no lease"
