from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import RedisError
from rq.job import Job as Turn
from rq.serializers import JSONSerializer

from services.gateway.jobs.job import Job
from services.gateway.jobs.scheduler import Lane, Lanes, QueueUnavailable, Task
from services.gateway.jobs.schemas import PRIORITIES, Priority
from services.gateway.jobs.store import JobStore, Wishes
from tests.gateway.jobs.making import job_of, plan_of, report_of, unsynced, upload

Work = Callable[[Task], bool]
LONG_S = 600.0


@pytest.fixture
def lanes(redis: Redis, store: JobStore) -> Lanes:
    """Whose turns are of one task each."""
    return Lanes(redis, store, 2, turn_s=0)


@pytest.fixture
def long(redis: Redis, store: JobStore) -> Lanes:
    """Whose turns end for other reasons than time."""
    return Lanes(redis, store, 2, turn_s=LONG_S)


def report(task: Task) -> bool:
    """Work that always succeeds."""
    if task.number is None:
        task.job.put_plan(*plan_of(task.job.manifest().files))
    else:
        assert task.job.put_report(task.number, report_of("assessed", task.number))
    return True


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

    def noted(task: Task) -> bool:
        done.append(task.job)
        return work(task)

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


def test_a_turn_goes_on_where_nobody_else_waits(long: Lanes, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    job, _ = upload(store, tmp_path, dict.fromkeys("abcdef", b"x"), Wishes("ann", "routine", "default"))
    long.wake("routine", "ann")
    found = pop(long, redis)
    assert found
    long.take(*found, report)  # the plan, too, which gives the other lane its turn
    assert len(job.outcomes()) == 3
    assert redis.llen(long.queue("routine").key) == 1
    assert len(drain(long, redis)) == 3
    assert job.ended()


@pytest.mark.parametrize("others", [("bob", "routine"), ("ann", "urgent"), ("bob", "urgent")])
def test_a_turn_that_others_wait_for_is_of_one_series(
    long: Lanes, redis: Redis, store: JobStore, tmp_path: Path, others: tuple[str, Priority]
) -> None:
    job = job_of(store, tmp_path, 6)
    long.wake("routine", "ann")
    found = pop(long, redis)
    assert found

    def work(task: Task) -> bool:
        job_of(store, tmp_path, 1, *others)
        return report(task)

    long.take(*found, work)
    assert len(job.outcomes()) == 1


def test_urgent_work_waits_for_no_routine_sender(long: Lanes, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path, 6, "bob")
    urgent = job_of(store, tmp_path, 6, priority="urgent")
    long.wake("urgent", "ann")
    found = pop(long, redis)
    assert found
    long.take(*found, report)
    assert len(urgent.outcomes()) == 3


def test_what_was_not_done_ends_a_turn_and_comes_again(
    long: Lanes, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job = job_of(store, tmp_path, 6)
    long.wake("routine", "ann")
    found = pop(long, redis)
    assert found
    tried: list[str] = []

    def fail(task: Task) -> bool:
        tried.append(task.id)
        return False

    long.take(*found, fail)
    assert len(tried) == 1
    assert len(drain(long, redis)) == 6
    assert job.ended()


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

    def work(task: Task) -> bool:
        lanes.wake("routine", "ann")
        lanes.tend()
        assert redis.llen(lanes.queue("routine").key) == 1  # the other lane's
        return report(task)

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

    def killed(_: Task) -> bool:
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

    def cancel(_: Task) -> bool:
        store.cancel(cancelled, "routine")
        return True

    lanes.take(*found, cancel)
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


class Faulty:
    """Work that meets these faults, one after the other, and then no more."""

    def __init__(self, redis: Redis, faults: Sequence[str]) -> None:
        self.redis = redis
        self.faults = list(faults)
        self.reported: list[str] = []

    def turn_is_lost(self) -> bool:
        return bool(self.faults) and self.faults[-1] == "turn lost" and bool(self.faults.pop())

    def __call__(self, task: Task) -> bool:
        fault = self.faults.pop() if self.faults else "none"
        if fault == "before":
            raise Killed
        if fault == "given back":
            return False
        report(task)
        self.reported.append(task.id)
        if fault == "after":
            raise Killed
        if fault == "emptied":
            self.redis.flushall()
        return True


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    count=st.integers(1, 4),
    turn_s=st.sampled_from([0.0, LONG_S]),
    faults=st.lists(st.sampled_from(["none", "before", "after", "given back", "turn lost", "emptied"]), max_size=12),
)
def test_every_series_has_one_report_whatever_happens_and_when(
    redis: Redis,
    tmp_path_factory: pytest.TempPathFactory,
    counts: list[int],
    count: int,
    turn_s: float,
    faults: list[str],
) -> None:
    folder = tmp_path_factory.mktemp("any")
    redis.flushall()
    store = unsynced(folder / "store")
    lanes = Lanes(redis, store, count, turn_s=turn_s)
    jobs = [job_of(store, folder, series, f"sender-{number % 2}") for number, series in enumerate(counts)]
    work = Faulty(redis, faults)
    for _ in range(200):
        if not (found := pop(lanes, redis)):
            if all(job.ended() for job in jobs):
                break
            lanes.tend()
        elif not work.turn_is_lost():
            try:
                lanes.take(*found, work)
            except Killed:
                redis.delete(found[0].key)
    assert all(job.ended() for job in jobs)
    assert [list(job.outcomes()) for job in jobs] == [list(range(series)) for series in counts]
    assert len(work.reported) == len(set(work.reported)) == sum(counts)
