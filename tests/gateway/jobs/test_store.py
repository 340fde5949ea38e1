import itertools
from pathlib import Path

import pytest

from services.common.problems import NotFound
from services.gateway.jobs.schemas import Outcome
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.uploads.spool import Spool
from tests.gateway.jobs.factories import Crash, CrashingStorage, job_of, plan_of, report_of, unsynced, upload

OPTIONS = JobOptions("ann", "routine", "default", "key")
FILES = {"one.dcm": b"1", "two.dcm": b"22"}


def crashing(folder: Path, calls: int, *, after: bool) -> JobStore:
    return JobStore(
        CrashingStorage(LocalStorage(folder, lambda _: None), calls, after=after), Spool(folder / "incoming")
    )


def reopened(folder: Path) -> JobStore:
    """The store of the next gateway process."""
    store = unsynced(folder)
    store.recover()
    return store


def test_a_job_stores_its_files_under_numbers(store: JobStore, tmp_path: Path) -> None:
    job, new = upload(store, tmp_path, FILES, OPTIONS)
    assert new
    assert job.manifest().files == 2
    with job.files() as files:
        assert {file.name: file.path.read_bytes() for file in files} == FILES
        assert not any(name in str(file.path) for file in files for name in FILES)
    with job.files([1]) as files:
        assert [file.name for file in files] == ["two.dcm"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("calls", range(3))
def test_a_crash_during_accept_leaves_a_whole_job_or_none(tmp_path: Path, calls: int, *, after: bool) -> None:
    folder = tmp_path / "store"
    with pytest.raises(Crash):
        upload(crashing(folder, calls, after=after), tmp_path, FILES, OPTIONS)
    store = reopened(folder)
    for job in store.jobs("ann"):
        assert [found.id for found in store.open_jobs("routine", "ann")] == [job.id]
    job, _ = upload(store, tmp_path, FILES, OPTIONS)
    assert [found.id for found in store.jobs("ann")] == [job.id]
    assert [found.id for found in store.open_jobs("routine", "ann")] == [job.id]


def test_recover_keeps_accepted_jobs(store: JobStore, tmp_path: Path) -> None:
    job, _ = upload(store, tmp_path, FILES, OPTIONS)
    assert [found.id for found in reopened(tmp_path / "store").jobs("ann")] == [job.id]


class FullStorage(LocalStorage):
    def create(self, key: str, content: bytes) -> bool:
        if key.startswith("open/"):
            raise OSError(28, "no space")
        return super().create(key, content)


def test_an_upload_to_a_full_disk_leaves_no_files(store: JobStore, tmp_path: Path) -> None:
    full = JobStore(FullStorage(tmp_path / "store"), store.incoming)
    with pytest.raises(OSError, match="no space"):
        upload(full, tmp_path, FILES, OPTIONS)
    assert store.jobs("ann") == []
    assert upload(store, tmp_path, FILES, OPTIONS)[1]


def _work(store: JobStore, count: int) -> None:
    """Process the open jobs of a store as workers do, from any state."""
    for job in store.open_jobs("routine", "ann"):
        if job.plan() is None:
            job.create_plan(*plan_of(count))
        for number in range(count):
            if number not in job.outcomes():
                outcome: Outcome = "failed" if number == 1 else "assessed"
                job.create_report(number, report_of(outcome, number))
        store.close(job, "routine", "finished")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("calls", range(8))
def test_a_crash_during_processing_loses_and_duplicates_no_report(tmp_path: Path, calls: int, *, after: bool) -> None:
    folder, count = tmp_path / "store", 2
    job, _ = upload(reopened(folder), tmp_path, FILES, OPTIONS)
    with pytest.raises(Crash):
        _work(crashing(folder, calls, after=after), count)
    store = reopened(folder)
    _work(store, count)
    done = store.job("ann", job.id)
    assert done.outcomes() == {0: "assessed", 1: "failed"}
    assert [done.report(number) for number in range(count)] == [report_of("assessed", 0), report_of("failed", 1)]
    assert done.ended()
    assert len(list((folder / "jobs/ann" / job.id / "reports").iterdir())) == count


def test_the_first_report_and_its_outcome_stay(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    assert job.create_report(0, report_of("failed"))
    assert not job.create_report(0, report_of("assessed"))
    assert job.outcomes() == {0: "failed"}
    assert job.report(0) == report_of("failed")


def test_a_plan_is_read_line_by_line(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 3)
    assert not job.create_plan(*plan_of(2))
    plan = job.plan()
    assert plan
    assert (plan.slices, list(plan.series)) == ((1, 2, 3), [0, 1, 2])
    assert job.planned_series(2).series_uid == "2.25.1.2"


def test_a_cancelled_job_keeps_its_reports_and_accepts_no_more(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 2)
    job.create_report(0, report_of("assessed"))
    store.cancel(job, "routine")
    assert not job.create_report(1, report_of("assessed"))
    assert not job.create_report(0, report_of("failed"))
    assert not job.create_plan(*plan_of(2))
    assert job.outcomes() == {0: "assessed"}
    assert job.report(0) == report_of("assessed")
    with pytest.raises(NotFound):
        job.report(1)
    left = {path.name for path in (tmp_path / "store/jobs/ann" / job.id).iterdir()}
    assert left == {"source", "manifest.jsonl", "plan.jsonl", "reports", "done", "models", "ended.json"}
    assert store.open_jobs("routine", "ann") == []
    assert not store.close(job, "routine", "finished")


def test_a_report_for_a_deleted_job_leaves_no_files(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    job.remove()
    assert not job.create_report(0, report_of("assessed"))
    assert store.jobs("ann") == []
    with pytest.raises(NotFound):
        job.manifest()


def test_a_job_of_another_sender_is_not_found(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    for sender, job_id in (("bob", job.id), ("ann", "0" * 28), ("ann", "../ann"), ("ann", "")):
        with pytest.raises(NotFound):
            store.job(sender, job_id)


def test_expired_jobs_are_removed_with_their_keys(store: JobStore, tmp_path: Path) -> None:
    ended, _ = upload(store, tmp_path, FILES, OPTIONS)
    waiting = job_of(store, tmp_path)
    store.close(ended, "routine", "finished")
    assert len(list(store.remove_expired(lambda *_: False))) == 0
    assert ended.exists()
    assert len(list(store.remove_expired(lambda *_: True))) == 1
    assert [job.id for job in store.jobs("ann")] == [waiting.id]
    assert list((tmp_path / "store/keys").rglob("*/*")) == []


@pytest.mark.usefixtures("store")
def test_recover_removes_unfinished_uploads(tmp_path: Path) -> None:
    half = tmp_path / "store/incoming/upload-half"
    half.mkdir()
    (half / "000001").write_bytes(b"x")
    trash = tmp_path / "store/trash/x"
    trash.mkdir()
    reopened(tmp_path / "store")
    assert not half.exists()
    assert not trash.exists()


def test_jobs_are_listed_by_age(store: JobStore, tmp_path: Path) -> None:
    made = [job_of(store, tmp_path).id for _ in range(3)]
    assert [job.id for job in store.open_jobs("routine", "ann")] == sorted(made)
    assert [job.id for job in store.jobs("ann")] == sorted(made, reverse=True)


def test_a_job_in_an_object_storage(tmp_path: Path) -> None:
    store = JobStore.at(tmp_path, f"memory://{tmp_path.name}")
    store.recover()
    assert store.membership
    store.membership.join()
    store.membership.beat()
    job, _ = upload(store, tmp_path, FILES, OPTIONS)
    again, new = upload(store, tmp_path, FILES, OPTIONS)
    assert (again.id, new) == (job.id, False)
    for _ in itertools.repeat(None, 2):
        _work(store, 2)
    assert job.outcomes() == {0: "assessed", 1: "failed"}
    with job.files([1]) as files:
        assert [file.path.read_bytes() for file in files] == [b"22"]
    assert store.open_jobs("routine", "ann") == []
    assert len(list(store.remove_expired(lambda *_: True))) == 1
    assert store.jobs("ann") == []
