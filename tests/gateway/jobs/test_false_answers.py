"""An object storage, or a balancer before it, that answers wrongly once: no accepted job is removed."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis

from services.gateway.jobs.job import Job
from services.gateway.jobs.lane_state import Lane
from services.gateway.jobs.membership import Membership
from services.gateway.jobs.object_storage import ObjectStorage
from services.gateway.jobs.scheduler import FairScheduler
from services.gateway.jobs.storage_errors import StorageUnavailable
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.uploads.spool import Spool
from tests.gateway.jobs.factories import plan_of, upload

OPTIONS = JobOptions("ann", "routine", "default")


class FalseStorage(ObjectStorage):
    """Finds no file of a name, or no entry of folders, as a balancer without a server answers 404."""

    hidden_file = hidden_folder = "nothing"

    def get(self, key: str) -> bytes:
        if key.endswith(self.hidden_file):
            raise FileNotFoundError
        return super().get(key)

    def exists(self, key: str) -> bool:
        return not key.endswith(self.hidden_file) and super().exists(key)

    def names(self, key: str) -> list[str]:
        return [] if key.startswith(self.hidden_folder) else super().names(key)


@pytest.fixture
def storage(tmp_path: Path) -> FalseStorage:
    return FalseStorage(f"memory://{uuid4().hex}", tmp_path / "fetched")


@pytest.fixture
def store(storage: FalseStorage, tmp_path: Path) -> JobStore:
    membership = Membership(storage)
    membership.join()
    membership.beat()
    return JobStore(storage, Spool(tmp_path / "incoming"), membership)


@pytest.fixture
def job(store: JobStore, tmp_path: Path) -> Job:
    return upload(store, tmp_path, {"one.dcm": b"1"}, OPTIONS)[0]


def test_an_open_job_stays_where_the_marks_are_listed_without_its_own(
    storage: FalseStorage, store: JobStore, job: Job
) -> None:
    storage.hidden_folder = "open"
    store.remove_orphans()
    assert job.exists()
    assert storage.names("receiving/ann") == []


def test_a_job_whose_manifest_is_not_found_once_keeps_its_files(storage: FalseStorage, job: Job) -> None:
    storage.hidden_file = "manifest.jsonl"
    assert job.create_plan(*plan_of(1))
    storage.hidden_file = "nothing"
    assert job.plan()
    assert job.has_files()


def test_a_job_whose_manifest_is_not_found_once_stays_open(
    redis: Redis, storage: FalseStorage, store: JobStore, job: Job
) -> None:
    storage.hidden_file = "manifest.jsonl"
    assert FairScheduler(redis, store, lanes=1).next_task(Lane("routine", "ann", 0))
    assert [one.id for one in store.open_jobs("routine", "ann")] == [job.id]


def test_an_upload_whose_priority_changes_while_it_is_looked_for_is_accepted(
    storage: FalseStorage, store: JobStore, job: Job
) -> None:
    """The look finds neither mark: it was under the other one each time."""
    store.change_priority(job, "urgent")
    storage.hidden_file = job.id
    assert store.is_accepted(job)


def test_an_idempotency_key_stays_with_a_job_whose_manifest_is_not_found_once(
    storage: FalseStorage, store: JobStore, tmp_path: Path
) -> None:
    options = replace(OPTIONS, idempotency_key="k")
    first, _ = upload(store, tmp_path, {"one.dcm": b"1"}, options)
    storage.hidden_file = f"{first.id}/manifest.jsonl"
    with pytest.raises(StorageUnavailable):
        upload(store, tmp_path, {"one.dcm": b"1"}, options)
    storage.hidden_file = "nothing"
    again, new = upload(store, tmp_path, {"one.dcm": b"1"}, options)
    assert (again.id, new) == (first.id, False)
    assert [one.id for one in store.jobs("ann")] == [first.id]


def test_the_lease_stays_with_a_holder_whose_record_is_not_found_once(storage: FalseStorage, store: JobStore) -> None:
    first = store.membership
    second = Membership(storage)
    second.join()
    storage.hidden_file = "sweeper.00000001"
    second.beat()
    assert first
    assert (first.term(), second.term()) == (1, None)
