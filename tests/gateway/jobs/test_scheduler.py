from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import RedisError

from services.gateway.jobs.job import Job
from services.gateway.jobs.scheduler import FairScheduler, QueueUnavailable, Task
from services.gateway.jobs.schemas import Priority
from services.gateway.jobs.store import JobOptions, JobStore
from tests.gateway.jobs.factories import job_of, plan_of, report_of, unsynced, upload
from tests.gateway.jobs.queue_worker import QueueWorker

Process = Callable[[Task], bool]
LONG_S = 600.0


def report(task: Task) -> bool:
    """Process a task successfully."""
    if task.number is None:
        task.job.create_plan(*plan_of(task.job.manifest().files))
    else:
        assert task.job.create_report(task.number, report_of("assessed", task.number))
    return True


class Worker(QueueWorker):
    """Processes tickets by `report`, unless a test says otherwise."""

    def process_one(self, process: Process = report) -> None:
        """Process the next ticket."""
        self.scheduler.process_ticket(*self.take(), process)

    def drain(self) -> list[Job]:
        """Process all tickets: the jobs of their tasks, in order."""
        done: list[Job] = []

        def process(task: Task) -> bool:
            done.append(task.job)
            return report(task)

        while found := self.pop():
            self.scheduler.process_ticket(*found, process)
        return done

    def queued(self, priority: Priority = "routine") -> int:
        """Number of tickets in a queue."""
        return len(self.scheduler.queue(priority).get_job_ids())


@pytest.fixture
def scheduler(redis: Redis, store: JobStore) -> FairScheduler:
    """A scheduler whose tickets cover one task each."""
    return FairScheduler(redis, store, 2, ticket_s=0)


@pytest.fixture
def worker(scheduler: FairScheduler, redis: Redis) -> Worker:
    return Worker(scheduler, redis)


@pytest.fixture
def patient(redis: Redis, store: JobStore) -> Worker:
    """A worker of a scheduler whose tickets never end by time."""
    return Worker(FairScheduler(redis, store, 2, ticket_s=LONG_S), redis)


def test_a_job_is_planned_processed_and_closed(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job, _ = upload(store, tmp_path, dict.fromkeys("abcde", b"x"), JobOptions("ann", "routine", "default"))
    worker.scheduler.schedule("routine", "ann")
    assert len(worker.drain()) == 1 + 5
    assert list(job.outcomes()) == [0, 1, 2, 3, 4]
    end = job.ended()
    assert end
    assert end.status == "finished"
    assert worker.redis.keys("ich:lane:*") == []


def test_a_job_without_series_fails(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 0)
    worker.scheduler.schedule("routine", "ann")
    worker.drain()
    worker.scheduler.reconcile()
    end = job.ended()
    assert end
    assert end.status == "failed"


def test_senders_alternate_whatever_their_backlogs(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path, 40, "ann")
    few = job_of(store, tmp_path, 4, "bob")
    worker.scheduler.schedule("routine", "ann")
    worker.scheduler.schedule("routine", "bob")
    order = [job.sender for job in worker.drain()]
    assert len(order) == 44
    assert order[:12].count("bob") == few.manifest().files


def test_a_later_sender_does_not_wait_for_a_backlog(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    for _ in range(3):
        job_of(store, tmp_path, 30, "ann")
    worker.scheduler.schedule("routine", "ann")
    for _ in range(10):
        worker.process_one()
    job_of(store, tmp_path, 1, "bob")
    worker.scheduler.schedule("routine", "bob")
    order = [job.sender for job in worker.drain()]
    assert order.index("bob") < 4


def test_a_ticket_covers_several_tasks_where_no_other_sender_waits(
    patient: Worker, store: JobStore, tmp_path: Path
) -> None:
    job, _ = upload(store, tmp_path, dict.fromkeys("abcdef", b"x"), JobOptions("ann", "routine", "default"))
    patient.scheduler.schedule("routine", "ann")
    patient.process_one()  # the plan too, which issues the other lane's ticket
    assert len(job.outcomes()) == 3
    assert patient.queued() == 1
    assert len(patient.drain()) == 3
    assert job.ended()


@pytest.mark.parametrize("others", [("bob", "routine"), ("ann", "urgent"), ("bob", "urgent")])
def test_a_ticket_covers_one_task_where_other_work_waits(
    patient: Worker, store: JobStore, tmp_path: Path, others: tuple[str, Priority]
) -> None:
    job = job_of(store, tmp_path, 6)
    patient.scheduler.schedule("routine", "ann")

    def process(task: Task) -> bool:
        job_of(store, tmp_path, 1, *others)
        return report(task)

    patient.process_one(process)
    assert len(job.outcomes()) == 1


def test_routine_work_does_not_end_an_urgent_ticket(patient: Worker, store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path, 6, "bob")
    urgent = job_of(store, tmp_path, 6, priority="urgent")
    patient.scheduler.schedule("urgent", "ann")
    patient.process_one()
    assert len(urgent.outcomes()) == 3


def test_a_deferred_task_ends_the_ticket_and_is_processed_later(
    patient: Worker, store: JobStore, tmp_path: Path
) -> None:
    job = job_of(store, tmp_path, 6)
    patient.scheduler.schedule("routine", "ann")
    deferred: list[str] = []

    def defer(task: Task) -> bool:
        deferred.append(task.id)
        return False

    patient.process_one(defer)
    assert len(deferred) == 1
    assert len(patient.drain()) == 6
    assert job.ended()


def test_urgent_tickets_have_their_own_queue(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path, 50)
    worker.scheduler.schedule("routine", "ann")
    urgent = job_of(store, tmp_path, 1, priority="urgent")
    worker.scheduler.schedule("urgent", "ann")
    worker.scheduler.process_ticket(*worker.take("urgent"), report)
    assert urgent.ended()
    assert worker.pop(("urgent",)) is None
    assert worker.pop(("routine",))


def test_a_stale_ticket_is_dropped(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    worker.scheduler.schedule("routine", "ann")
    lane, ticket = worker.take()
    worker.scheduler.process_ticket(lane, "0123456789abcdef", report)
    assert job.outcomes() == {}
    worker.scheduler.process_ticket(lane, ticket, report)
    worker.scheduler.process_ticket(lane, ticket, report)  # `report` would fail at a second report
    assert len(job.outcomes()) == 1


def test_a_running_lane_gets_no_second_ticket(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path, 4)
    worker.scheduler.schedule("routine", "ann")

    def process(task: Task) -> bool:
        worker.scheduler.schedule("routine", "ann")
        worker.scheduler.reconcile()
        assert worker.queued() == 1  # the other lane's
        return report(task)

    worker.process_one(process)


def test_a_lost_ticket_is_reissued(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 3)
    worker.scheduler.schedule("routine", "ann")
    worker.redis.delete(worker.scheduler.queue("routine").key)
    worker.scheduler.reconcile()
    assert worker.drain() == []  # it may be on its way to a worker
    worker.scheduler.reconcile()
    assert len(worker.drain()) == 3
    assert job.ended()


def test_reconcile_reissues_all_tickets_of_an_emptied_redis(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 6)
    worker.scheduler.schedule("routine", "ann")
    worker.process_one()
    worker.redis.flushall()
    worker.scheduler.reconcile()
    assert len(worker.drain()) == 5
    assert len(job.outcomes()) == 6


def test_the_lane_of_a_killed_worker_expires(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path, 1)
    worker.scheduler.schedule("routine", "ann")
    lane, ticket = worker.take()

    def killed(_: Task) -> bool:
        assert 0 < worker.redis.ttl(lane.key) <= 20
        raise SystemExit

    with pytest.raises(SystemExit):
        worker.scheduler.process_ticket(lane, ticket, killed)
    worker.redis.delete(lane.key)  # as its time to live does
    worker.scheduler.reconcile()
    assert len(worker.drain()) == 1


def test_a_cancelled_job_is_skipped(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    cancelled, job = job_of(store, tmp_path, 3), job_of(store, tmp_path, 2)
    worker.scheduler.schedule("routine", "ann")

    def cancel(_: Task) -> bool:
        store.cancel(cancelled, "routine")
        return True

    worker.process_one(cancel)
    store.mark_open("routine", cancelled)  # as a crash between the two steps of its end leaves it
    assert {done.id for done in worker.drain()} == {job.id}
    assert job.ended()


def test_a_full_redis_is_unavailable_until_it_has_room(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path)
    worker.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueUnavailable):
            worker.scheduler.check_available()
        with pytest.raises(RedisError):
            worker.scheduler.schedule("routine", "ann")
    finally:
        worker.redis.config_set("maxmemory", "256mb")
    worker.scheduler.check_available()
    worker.scheduler.reconcile()
    assert len(worker.drain()) == 1


def test_redis_holds_no_name_of_a_file_or_series(
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
    """Processing that meets these faults in turn, then none."""

    def __init__(self, redis: Redis, faults: Sequence[str]) -> None:
        self.redis = redis
        self.faults = list(faults)
        self.reported: list[str] = []

    def loses_ticket(self) -> bool:
        """Whether the next fault is a lost ticket."""
        return bool(self.faults) and self.faults[-1] == "lost ticket" and bool(self.faults.pop())

    def __call__(self, task: Task) -> bool:
        fault = self.faults.pop() if self.faults else "none"
        if fault == "killed before":
            raise Killed
        if fault == "deferred":
            return False
        report(task)
        self.reported.append(task.id)
        if fault == "killed after":
            raise Killed
        if fault == "emptied Redis":
            self.redis.flushall()
        return True


FAULTS = ["none", "killed before", "killed after", "deferred", "lost ticket", "emptied Redis"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    lanes=st.integers(1, 4),
    ticket_s=st.sampled_from([0.0, LONG_S]),
    faults=st.lists(st.sampled_from(FAULTS), max_size=12),
)
def test_every_series_has_one_report_after_any_faults(
    redis: Redis,
    tmp_path_factory: pytest.TempPathFactory,
    counts: list[int],
    lanes: int,
    ticket_s: float,
    faults: list[str],
) -> None:
    folder = tmp_path_factory.mktemp("any")
    redis.flushall()
    store = unsynced(folder / "store")
    worker = Worker(FairScheduler(redis, store, lanes, ticket_s=ticket_s), redis)
    jobs = [job_of(store, folder, series, f"sender-{number % 2}") for number, series in enumerate(counts)]
    process = Faulty(redis, faults)
    for _ in range(200):
        if not (found := worker.pop()):
            if all(job.ended() for job in jobs):
                break
            worker.scheduler.reconcile()
        elif not process.loses_ticket():
            try:
                worker.scheduler.process_ticket(*found, process)
            except Killed:
                redis.delete(found[0].key)
    assert all(job.ended() for job in jobs)
    assert [list(job.outcomes()) for job in jobs] == [list(range(series)) for series in counts]
    assert len(process.reported) == len(set(process.reported)) == sum(counts)
