"""Changes of a job's priority: between workers, crashes, ends and other changes."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis

from services.common.problems import NotFound
from services.gateway.jobs.job import Job, JobEnded
from services.gateway.jobs.object_storage import ObjectStorage
from services.gateway.jobs.scheduler import FairScheduler, Task
from services.gateway.jobs.schemas import PRIORITIES, Priority
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.uploads.spool import Spool
from tests.gateway.jobs.factories import Crash, CrashingStorage, job_of, unsynced, upload
from tests.gateway.jobs.test_scheduler import Worker, report

CALLS = 6  # of the storage that write, in one change


def marks(store: JobStore, job: Job) -> set[Priority]:
    return {priority for priority in PRIORITIES if job.id in {each.id for each in store.open_jobs(priority, "ann")}}


@pytest.fixture
def worker(redis: Redis, store: JobStore) -> Worker:
    return Worker(FairScheduler(redis, store, 2, ticket_s=0), redis)


def test_a_job_moves_to_the_other_lanes_and_back(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    assert job.priority() == "routine"
    for priority in ("urgent", "urgent", "routine", "urgent"):
        store.change_priority(job, priority)
        assert (job.priority(), marks(store, job)) == (priority, {priority})
    assert job.manifest().priority == "routine"


def test_a_job_in_an_object_storage_moves(tmp_path: Path) -> None:
    storage = ObjectStorage(f"memory://{uuid4().hex}", tmp_path / "fetched")
    store = JobStore(storage, Spool(tmp_path / "incoming"))
    job = job_of(store, tmp_path)
    priorities: list[Priority] = ["urgent", "urgent", "routine"]
    for priority in priorities:
        store.change_priority(job, priority)
        assert (job.priority(), marks(store, job)) == (priority, {priority})


def test_its_waiting_series_are_processed_before_others(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    first, second = job_of(store, tmp_path, 4), job_of(store, tmp_path, 4)
    worker.scheduler.schedule("routine", "ann")
    worker.process_one()
    store.change_priority(second, "urgent")
    worker.scheduler.schedule("urgent", "ann")
    order = worker.drain()
    assert [job.id for job in order[:4]] == [second.id] * 4
    assert sorted(first.outcomes()) == sorted(second.outcomes()) == [0, 1, 2, 3]
    worker.scheduler.reconcile()
    assert (first.ended(), second.ended()) != (None, None)
    assert marks(store, first) == marks(store, second) == set()


def test_a_series_in_progress_is_finished_where_it_is(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 2)
    worker.scheduler.schedule("routine", "ann")

    def process(task: Task) -> bool:
        store.change_priority(job, "urgent")
        worker.scheduler.schedule("urgent", "ann")
        return report(task)

    worker.process_one(process)
    assert len(job.outcomes()) == 1
    worker.drain()
    worker.scheduler.reconcile()
    assert sorted(job.outcomes()) == [0, 1]
    assert job.ended()
    assert marks(store, job) == set()


def test_a_series_in_progress_is_not_assessed_twice(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job, begun = job_of(store, tmp_path, 2), list[str]()
    worker.scheduler.schedule("routine", "ann")

    def process(task: Task) -> bool:
        begun.append(task.id)
        store.change_priority(job, "urgent")
        worker.scheduler.schedule("urgent", "ann")
        begun.extend(f"{each.id}-{number:06d}" for each in worker.drain() for number in sorted(job.outcomes()))
        return report(task)

    worker.process_one(process)
    worker.scheduler.reconcile()
    worker.drain()
    worker.scheduler.reconcile()
    assert sorted(begun) == [f"{job.id}-000000", f"{job.id}-000001"]
    assert job.ended()
    assert marks(store, job) == set()


def test_a_series_that_its_lane_gives_back_is_taken_by_the_other(
    worker: Worker, store: JobStore, tmp_path: Path
) -> None:
    job = job_of(store, tmp_path)
    worker.scheduler.schedule("routine", "ann")

    def process(_: Task) -> bool:
        store.change_priority(job, "urgent")
        worker.scheduler.schedule("urgent", "ann")
        assert worker.pop() is None, "no lane takes it meanwhile"
        return False

    worker.process_one(process)
    worker.scheduler.reconcile()
    assert [each.id for each in worker.drain()] == [job.id]
    worker.scheduler.reconcile()
    assert job.ended()


def test_an_ended_or_deleted_job_keeps_its_priority(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    store.close(job, "routine", "finished")
    with pytest.raises(JobEnded):
        store.change_priority(job, "urgent")
    assert marks(store, job) == set()
    gone = job_of(store, tmp_path)
    gone.remove()
    with pytest.raises(NotFound):
        store.change_priority(gone, "urgent")


def test_an_end_meanwhile_leaves_no_mark(worker: Worker, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    job.end("cancelled")  # by another process, after this one looked
    store.mark_open("urgent", job)
    worker.scheduler.reconcile()
    assert marks(store, job) == set()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("calls", range(CALLS))
def test_a_crash_loses_no_job(redis: Redis, tmp_path: Path, calls: int, after: bool) -> None:  # noqa: FBT001 - a parameter
    store = unsynced(tmp_path / "store")
    job = job_of(store, tmp_path, 2)
    crashing = CrashingStorage(LocalStorage(tmp_path / "store", lambda _: None), calls, after=after)
    crashed = JobStore(crashing, Spool(tmp_path / "other"))
    with contextlib.suppress(Crash):
        crashed.change_priority(crashed.job("ann", job.id), "urgent")
    store.recover()
    worker = Worker(FairScheduler(redis, store, 2, ticket_s=0), redis)
    worker.scheduler.reconcile()
    worker.drain()
    worker.scheduler.reconcile()
    assert sorted(job.outcomes()) == [0, 1]
    assert job.ended()
    assert marks(store, job) == set()


def test_changes_at_the_same_time_agree(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    changes: list[Priority] = ["urgent", "routine"] * 10
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda priority: store.change_priority(job, priority), changes))
    assert marks(store, job) == {job.priority()}


def test_a_repeated_request_does_not_move_the_job_back(store: JobStore, tmp_path: Path) -> None:
    options = JobOptions("ann", "routine", "default", "key")
    job, _ = upload(store, tmp_path, {"a.dcm": b"1"}, options)
    store.change_priority(job, "urgent")
    again, new = upload(store, tmp_path, {"a.dcm": b"1"}, options)
    assert (again.id, new) == (job.id, False)
    assert marks(store, job) == {"urgent"}
