"""Requests to the storage have a price: an idle gateway reads no job twice."""

from collections import Counter
from pathlib import Path

import pytest

from services.gateway.jobs.retention import DAY_S, Retention, RetentionClock
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.settings import Settings
from services.gateway.uploads.spool import Spool
from services.gateway.worklist.service import Worklist
from tests.gateway.jobs.factories import job_of, report_of, upload
from tests.gateway.worklist.conftest import page_of


class CountingStorage(LocalStorage):
    """Counts the reading calls by method and first part of the key."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda _: None)
        self.calls: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        self._count("get", key)
        return super().get(key)

    def exists(self, key: str) -> bool:
        self._count("exists", key)
        return super().exists(key)

    def names(self, key: str) -> list[str]:
        self._count("names", key)
        return super().names(key)

    def _count(self, method: str, key: str) -> None:
        self.calls[f"{method} {key.partition('/')[0]}"] += 1

    def taken(self) -> Counter[str]:
        """The calls since the last time."""
        calls, self.calls = self.calls, Counter()
        return calls


@pytest.fixture
def storage(tmp_path: Path) -> CountingStorage:
    return CountingStorage(tmp_path / "store")


@pytest.fixture
def store(storage: CountingStorage, tmp_path: Path) -> JobStore:
    return JobStore(storage, Spool(tmp_path / "incoming"))


def ended_jobs(store: JobStore, tmp_path: Path, count: int) -> None:
    for number in range(count):
        options = JobOptions("ann", "routine", "default", idempotency_key=str(number))
        job, _ = upload(store, tmp_path, {"1.dcm": b"%d" % number}, options)
        store.mark_feedback(job)
        store.close(job, "routine", "cancelled")


@pytest.mark.parametrize("count", [3, 30])
def test_a_second_sweep_lists_and_reads_no_job(
    storage: CountingStorage, store: JobStore, tmp_path: Path, count: int
) -> None:
    ended_jobs(store, tmp_path, count)
    retention = Retention(store, RetentionClock(storage), 7 * DAY_S)
    assert list(retention.sweep()) == []
    store.remove_orphans()
    storage.taken()
    assert list(retention.sweep()) == []
    store.remove_orphans()
    calls = storage.taken()
    listings = {kind: calls.pop(kind) for kind in list(calls) if kind.startswith("names")}
    assert calls == {}
    assert sum(listings.values()) <= 16


def test_a_sweep_removes_what_deleted_jobs_left(storage: CountingStorage, store: JobStore, tmp_path: Path) -> None:
    ended_jobs(store, tmp_path, 2)
    retention = Retention(store, RetentionClock(storage), 7 * DAY_S)
    list(retention.sweep())
    deleted, kept = store.jobs("ann")
    deleted.remove()
    list(retention.sweep())
    assert [job.id for job in store.jobs_with_feedback(None)] == [kept.id]
    assert len(storage.names("keys/ann")) == 1


def test_the_progress_of_a_job_is_read_without_listing_open_jobs(
    storage: CountingStorage, store: JobStore, tmp_path: Path
) -> None:
    worklist = Worklist.create(Settings(jobs_dir=tmp_path / "store"), store)
    worklist.index.open()
    job = job_of(store, tmp_path, 3)
    worklist.tracker.look()
    assert page_of(worklist).total == 3
    for number in range(2):
        job.create_report(number, report_of("assessed", number, present=True))
        storage.taken()
        worklist.tracker.progressed(job)
        worklist.tracker.progressed(job)
        worklist.tracker.look(listing=False)
        assert page_of(worklist).positive == number + 1
        calls = storage.taken()
        assert set(calls) <= {"get jobs", "names jobs", "exists jobs"}
        assert calls.total() <= 9
    store.close(job, "routine", "finished")
    worklist.tracker.progressed(job)
    worklist.tracker.look(listing=False)
    assert worklist.index.known()[job.id].settled
    worklist.index.close()
