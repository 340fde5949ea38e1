from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import RedisError
from rq.job import Job as Turn
from rq.serializers import JSONSerializer

from services.gateway.jobs.job import Job
from services.gateway.jobs.lanes import Lane, Lanes, QueueUnavailable, Task
from services.gateway.jobs.schemas import PRIORITIES, Priority
from services.gateway.jobs.store import JobStore, Wishes
from tests.gateway.jobs.making import job_of, plan_of, report_of, unsynced, upload

Work = Callable[[Task], None]


@pytest.fixture
def lanes(redis: Redis, store: JobStore) -> Lanes:
    return Lanes(redis, store, 2)


def report(task: Task) -> None:
    """Work that always succeeds."""
    if task.number is None:
        task.job.put_plan(*plan_of(task.job.manifest().files))
    else:
        assert task.job.put_report(task.number, "assessed", report_of("assessed", task.number))


def pop(lanes: Lanes, redis: Redis, priorities: tuple[Priority, ...] = PRIORITIES) -> tuple[Lane, str] | None:
    """The next turn, as a worker for those priorities would find it."""
    for priority in priorities:
        if turn := redis.lpop(lanes.queue(priority).key):
            assert isinstance(turn, bytes)
            arguments = Turn.fetch(turn.decode(), connection=redis, serializer=JSONSerializer).args
            return Lane(*arguments[:3]), arguments[3]
    return None


def drain(lanes: Lanes, redis: Redis, work: Work = report) -> list[Job]:
    """Take turns until none is left; the jobs that were worked on, in that order."""
    done: list[Job] = []

    def noted(task: Task) -> None:
        done.append(task.job)
        work(task)

    while found := pop(lanes, redis):
        lanes.take(*found, noted)
    return done


def test_a_job_is_planned_worked_on_and_closed(lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    job, _ = upload(store, tmp_path, dict.fromkeys("abcde", b"x"), Wishes("ann", "routine", "default"))
    lanes.wake("routine", "ann")
    assert len(drain(lanes, redis)) == 1 + 5
    assert list(job.outcomes()) == [0, 1, 2, 3, 4]
    ended = job.ended()
    assert ended
    assert ended.status == "finished"
    assert redis.keys("ich:lane:*") == []


def test_a_job_without_a_series_is_failed(lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 0)
    lanes.wake("routine", "ann")
    drain(lanes, redis)
    lanes.tend()
    ended = job.ended()
    assert ended
    assert ended.status == "failed"


def test_senders_take_turns_however_much_each_has_sent(
    lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job_of(store, tmp_path, 40, "ann")
    few = job_of(store, tmp_path, 4, "bob")
    lanes.wake("routine", "ann")
    lanes.wake("routine", "bob")
    order = [job.sender for job in drain(lanes, redis)]
    assert len(order) == 44
    assert order[:12].count("bob") == few.manifest().files


def test_a_sender_who_comes_later_waits_for_no_backlog(
    lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    for _ in range(3):
        job_of(store, tmp_path, 30, "ann")
    lanes.wake("routine", "ann")
    for _ in range(10):
        found = pop(lanes, redis)
        assert found
        lanes.take(*found, report)
    job_of(store, tmp_path, 1, "bob")
    lanes.wake("routine", "bob")
    order = [job.sender for job in drain(lanes, redis)]
    assert order.index("bob") < 4


def test_urgent_turns_wait_in_a_queue_of_their_own(lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path, 50)
    lanes.wake("routine", "ann")
    urgent = job_of(store, tmp_path, 1, priority="urgent")
    lanes.wake("urgent", "ann")
    found = pop(lanes, redis, ("urgent",))
    assert found
    lanes.take(*found, report)
    assert urgent.ended()
    assert pop(lanes, redis, ("urgent",)) is None
    assert pop(lanes, redis, ("routine",))


def test_a_ghost_does_nothing(lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    lanes.wake("routine", "ann")
    found = pop(lanes, redis)
    assert found
    lane, turn = found
    lanes.take(lane, "0123456789abcdef", report)
    assert job.outcomes() == {}
    lanes.take(lane, turn, report)
    lanes.take(lane, turn, report)  # `report` would fail at a second report
    assert len(job.outcomes()) == 1


def test_a_lane_that_is_worked_on_has_no_second_turn(
    lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job_of(store, tmp_path, 4)
    lanes.wake("routine", "ann")
    found = pop(lanes, redis)
    assert found

    def work(task: Task) -> None:
        lanes.wake("routine", "ann")
        lanes.tend()
        assert redis.llen(lanes.queue("routine").key) == 1  # the other lane's
        report(task)

    lanes.take(*found, work)


def test_a_turn_that_was_lost_is_given_again(lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 3)
    lanes.wake("routine", "ann")
    redis.delete(lanes.queue("routine").key)
    lanes.tend()
    assert drain(lanes, redis) == []  # it may be on its way to a worker
    lanes.tend()
    assert len(drain(lanes, redis)) == 3
    assert job.ended()


def test_an_emptied_redis_loses_nothing(lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 6)
    lanes.wake("routine", "ann")
    found = pop(lanes, redis)
    assert found
    lanes.take(*found, report)
    redis.flushall()
    lanes.tend()
    assert len(drain(lanes, redis)) == 5
    assert len(job.outcomes()) == 6


def test_a_worker_that_was_killed_leaves_its_lane_for_seconds(
    lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job_of(store, tmp_path, 1)
    lanes.wake("routine", "ann")
    found = pop(lanes, redis)
    assert found

    def killed(_: Task) -> None:
        assert 0 < redis.ttl(found[0].key) <= 20
        raise SystemExit

    with pytest.raises(SystemExit):
        lanes.take(*found, killed)
    redis.delete(found[0].key)  # as its time to live does
    lanes.tend()
    assert len(drain(lanes, redis)) == 1


def test_a_cancelled_job_is_passed_over(lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    cancelled, job = job_of(store, tmp_path, 3), job_of(store, tmp_path, 2)
    lanes.wake("routine", "ann")
    found = pop(lanes, redis)
    assert found
    lanes.take(*found, lambda _: store.cancel(cancelled, "routine"))
    store._mark_open("routine", cancelled)  # as a crash between the two steps of its end would leave it
    assert {done.id for done in drain(lanes, redis)} == {job.id}
    assert job.ended()


def test_nothing_is_taken_while_redis_is_full(lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path)
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueUnavailable):
            lanes.check()
        with pytest.raises(RedisError):
            lanes.wake("routine", "ann")
    finally:
        redis.config_set("maxmemory", "256mb")
    lanes.check()
    lanes.tend()
    assert len(drain(lanes, redis)) == 1


def test_nothing_that_redis_holds_names_a_file_or_a_series(
    lanes: Lanes, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    upload(store, tmp_path, {"CANARY^JANE.dcm": b"CANARY"}, Wishes("ann", "routine", "default", "CANARY"))
    lanes.wake("routine", "ann")
    held = b"".join(redis.dump(key) or b"" for key in redis.keys("*"))
    assert b"CANARY" not in held
    assert b"2.25.1" not in held


class Killed(BaseException):
    pass


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    count=st.integers(1, 4),
    faults=st.lists(st.sampled_from(["none", "before", "after", "turn lost", "emptied"]), max_size=12),
)
def test_every_series_has_one_report_whatever_happens_and_when(
    redis: Redis, tmp_path_factory: pytest.TempPathFactory, counts: list[int], count: int, faults: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    redis.flushall()
    store = unsynced(folder / "store")
    lanes = Lanes(redis, store, count)
    jobs = [job_of(store, folder, series, f"sender-{number % 2}") for number, series in enumerate(counts)]
    reports: list[str] = []
    left = list(faults)

    def work(task: Task) -> None:
        fault = left.pop() if left else "none"
        if fault == "before":
            raise Killed
        report(task)
        reports.append(task.id)
        if fault == "after":
            raise Killed
        if fault == "emptied":
            redis.flushall()

    for _ in range(200):
        if not (found := pop(lanes, redis)):
            if all(job.ended() for job in jobs):
                break
            lanes.tend()
        elif left and left[-1] == "turn lost":
            left.pop()
        else:
            try:
                lanes.take(*found, work)
            except Killed:
                redis.delete(found[0].key)
    assert all(job.ended() for job in jobs)
    assert [list(job.outcomes()) for job in jobs] == [list(range(series)) for series in counts]
    assert len(reports) == len(set(reports)) == sum(counts)
