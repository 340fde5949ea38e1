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
from services.gateway.jobs.lane_state import Lane
from services.gateway.jobs.scheduler import FairScheduler, QueueUnavailable, Task
from services.gateway.jobs.schemas import PRIORITIES, Priority
from services.gateway.jobs.store import JobOptions, JobStore
from tests.gateway.jobs.making import job_of, plan_of, report_of, unsynced, upload

Process = Callable[[Task], bool]
LONG_S = 600.0


@pytest.fixture
def scheduler(redis: Redis, store: JobStore) -> FairScheduler:
    """Whose turns are of one task each."""
    return FairScheduler(redis, store, 2, ticket_s=0)


@pytest.fixture
def long(redis: Redis, store: JobStore) -> FairScheduler:
    """Whose turns end for other reasons than time."""
    return FairScheduler(redis, store, 2, ticket_s=LONG_S)


def report(task: Task) -> bool:
    """Work that always succeeds."""
    if task.number is None:
        task.job.create_plan(*plan_of(task.job.manifest().files))
    else:
        assert task.job.create_report(task.number, report_of("assessed", task.number))
    return True


def pop(
    scheduler: FairScheduler, redis: Redis, priorities: tuple[Priority, ...] = PRIORITIES
) -> tuple[Lane, str] | None:
    """The next turn, as a worker for those priorities would find it."""
    for priority in priorities:
        if turn := redis.lpop(scheduler.queue(priority).key):
            assert isinstance(turn, bytes)
            arguments = Turn.fetch(turn.decode(), connection=redis, serializer=JSONSerializer).args
            return Lane(*arguments[:3]), arguments[3]
    return None


def drain(scheduler: FairScheduler, redis: Redis, process: Process = report) -> list[Job]:
    """Take turns until none is left; the jobs that were worked on, in that order."""
    done: list[Job] = []

    def noted(task: Task) -> bool:
        done.append(task.job)
        return process(task)

    while found := pop(scheduler, redis):
        scheduler.process_ticket(*found, noted)
    return done


def test_a_job_is_planned_worked_on_and_closed(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job, _ = upload(store, tmp_path, dict.fromkeys("abcde", b"x"), JobOptions("ann", "routine", "default"))
    scheduler.schedule("routine", "ann")
    assert len(drain(scheduler, redis)) == 1 + 5
    assert list(job.outcomes()) == [0, 1, 2, 3, 4]
    ended = job.ended()
    assert ended
    assert ended.status == "finished"
    assert redis.keys("ich:lane:*") == []


def test_a_job_without_a_series_is_failed(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job = job_of(store, tmp_path, 0)
    scheduler.schedule("routine", "ann")
    drain(scheduler, redis)
    scheduler.reconcile()
    ended = job.ended()
    assert ended
    assert ended.status == "failed"


def test_senders_take_turns_however_much_each_has_sent(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job_of(store, tmp_path, 40, "ann")
    few = job_of(store, tmp_path, 4, "bob")
    scheduler.schedule("routine", "ann")
    scheduler.schedule("routine", "bob")
    order = [job.sender for job in drain(scheduler, redis)]
    assert len(order) == 44
    assert order[:12].count("bob") == few.manifest().files


def test_a_sender_who_comes_later_waits_for_no_backlog(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    for _ in range(3):
        job_of(store, tmp_path, 30, "ann")
    scheduler.schedule("routine", "ann")
    for _ in range(10):
        found = pop(scheduler, redis)
        assert found
        scheduler.process_ticket(*found, report)
    job_of(store, tmp_path, 1, "bob")
    scheduler.schedule("routine", "bob")
    order = [job.sender for job in drain(scheduler, redis)]
    assert order.index("bob") < 4


def test_a_turn_goes_on_where_nobody_else_waits(
    long: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job, _ = upload(store, tmp_path, dict.fromkeys("abcdef", b"x"), JobOptions("ann", "routine", "default"))
    long.schedule("routine", "ann")
    found = pop(long, redis)
    assert found
    long.process_ticket(*found, report)  # the plan, too, which gives the other lane its turn
    assert len(job.outcomes()) == 3
    assert redis.llen(long.queue("routine").key) == 1
    assert len(drain(long, redis)) == 3
    assert job.ended()


@pytest.mark.parametrize("others", [("bob", "routine"), ("ann", "urgent"), ("bob", "urgent")])
def test_a_turn_that_others_wait_for_is_of_one_series(
    long: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path, others: tuple[str, Priority]
) -> None:
    job = job_of(store, tmp_path, 6)
    long.schedule("routine", "ann")
    found = pop(long, redis)
    assert found

    def work(task: Task) -> bool:
        job_of(store, tmp_path, 1, *others)
        return report(task)

    long.process_ticket(*found, work)
    assert len(job.outcomes()) == 1


def test_urgent_work_waits_for_no_routine_sender(
    long: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job_of(store, tmp_path, 6, "bob")
    urgent = job_of(store, tmp_path, 6, priority="urgent")
    long.schedule("urgent", "ann")
    found = pop(long, redis)
    assert found
    long.process_ticket(*found, report)
    assert len(urgent.outcomes()) == 3


def test_what_was_not_done_ends_a_turn_and_comes_again(
    long: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job = job_of(store, tmp_path, 6)
    long.schedule("routine", "ann")
    found = pop(long, redis)
    assert found
    tried: list[str] = []

    def fail(task: Task) -> bool:
        tried.append(task.id)
        return False

    long.process_ticket(*found, fail)
    assert len(tried) == 1
    assert len(drain(long, redis)) == 6
    assert job.ended()


def test_urgent_turns_wait_in_a_queue_of_their_own(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job_of(store, tmp_path, 50)
    scheduler.schedule("routine", "ann")
    urgent = job_of(store, tmp_path, 1, priority="urgent")
    scheduler.schedule("urgent", "ann")
    found = pop(scheduler, redis, ("urgent",))
    assert found
    scheduler.process_ticket(*found, report)
    assert urgent.ended()
    assert pop(scheduler, redis, ("urgent",)) is None
    assert pop(scheduler, redis, ("routine",))


def test_a_ghost_does_nothing(scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    scheduler.schedule("routine", "ann")
    found = pop(scheduler, redis)
    assert found
    lane, turn = found
    scheduler.process_ticket(lane, "0123456789abcdef", report)
    assert job.outcomes() == {}
    scheduler.process_ticket(lane, turn, report)
    scheduler.process_ticket(lane, turn, report)  # `report` would fail at a second report
    assert len(job.outcomes()) == 1


def test_a_lane_that_is_worked_on_has_no_second_turn(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job_of(store, tmp_path, 4)
    scheduler.schedule("routine", "ann")
    found = pop(scheduler, redis)
    assert found

    def work(task: Task) -> bool:
        scheduler.schedule("routine", "ann")
        scheduler.reconcile()
        assert redis.llen(scheduler.queue("routine").key) == 1  # the other lane's
        return report(task)

    scheduler.process_ticket(*found, work)


def test_a_turn_that_was_lost_is_given_again(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job = job_of(store, tmp_path, 3)
    scheduler.schedule("routine", "ann")
    redis.delete(scheduler.queue("routine").key)
    scheduler.reconcile()
    assert drain(scheduler, redis) == []  # it may be on its way to a worker
    scheduler.reconcile()
    assert len(drain(scheduler, redis)) == 3
    assert job.ended()


def test_an_emptied_redis_loses_nothing(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job = job_of(store, tmp_path, 6)
    scheduler.schedule("routine", "ann")
    found = pop(scheduler, redis)
    assert found
    scheduler.process_ticket(*found, report)
    redis.flushall()
    scheduler.reconcile()
    assert len(drain(scheduler, redis)) == 5
    assert len(job.outcomes()) == 6


def test_a_worker_that_was_killed_leaves_its_lane_for_seconds(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job_of(store, tmp_path, 1)
    scheduler.schedule("routine", "ann")
    found = pop(scheduler, redis)
    assert found

    def killed(_: Task) -> bool:
        assert 0 < redis.ttl(found[0].key) <= 20
        raise SystemExit

    with pytest.raises(SystemExit):
        scheduler.process_ticket(*found, killed)
    redis.delete(found[0].key)  # as its time to live does
    scheduler.reconcile()
    assert len(drain(scheduler, redis)) == 1


def test_a_cancelled_job_is_passed_over(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    cancelled, job = job_of(store, tmp_path, 3), job_of(store, tmp_path, 2)
    scheduler.schedule("routine", "ann")
    found = pop(scheduler, redis)
    assert found

    def cancel(_: Task) -> bool:
        store.cancel(cancelled, "routine")
        return True

    scheduler.process_ticket(*found, cancel)
    store.mark_open("routine", cancelled)  # as a crash between the two steps of its end would leave it
    assert {done.id for done in drain(scheduler, redis)} == {job.id}
    assert job.ended()


def test_nothing_is_taken_while_redis_is_full(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    job_of(store, tmp_path)
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueUnavailable):
            scheduler.check_available()
        with pytest.raises(RedisError):
            scheduler.schedule("routine", "ann")
    finally:
        redis.config_set("maxmemory", "256mb")
    scheduler.check_available()
    scheduler.reconcile()
    assert len(drain(scheduler, redis)) == 1


def test_nothing_that_redis_holds_names_a_file_or_a_series(
    scheduler: FairScheduler, redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    upload(store, tmp_path, {"CANARY^JANE.dcm": b"CANARY"}, JobOptions("ann", "routine", "default", "CANARY"))
    scheduler.schedule("routine", "ann")
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
    ticket_s=st.sampled_from([0.0, LONG_S]),
    faults=st.lists(st.sampled_from(["none", "before", "after", "given back", "turn lost", "emptied"]), max_size=12),
)
def test_every_series_has_one_report_whatever_happens_and_when(
    redis: Redis,
    tmp_path_factory: pytest.TempPathFactory,
    counts: list[int],
    count: int,
    ticket_s: float,
    faults: list[str],
) -> None:
    folder = tmp_path_factory.mktemp("any")
    redis.flushall()
    store = unsynced(folder / "store")
    scheduler = FairScheduler(redis, store, count, ticket_s=ticket_s)
    jobs = [job_of(store, folder, series, f"sender-{number % 2}") for number, series in enumerate(counts)]
    work = Faulty(redis, faults)
    for _ in range(200):
        if not (found := pop(scheduler, redis)):
            if all(job.ended() for job in jobs):
                break
            scheduler.reconcile()
        elif not work.turn_is_lost():
            try:
                scheduler.process_ticket(*found, work)
            except Killed:
                redis.delete(found[0].key)
    assert all(job.ended() for job in jobs)
    assert [list(job.outcomes()) for job in jobs] == [list(range(series)) for series in counts]
    assert len(work.reported) == len(set(work.reported)) == sum(counts)
