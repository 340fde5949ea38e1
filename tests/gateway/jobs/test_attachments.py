"""Blood maps and pictures beside a report: a crash or a cancellation never parts them from it."""

import json
from pathlib import Path

import pytest

from services.common.problems import NotFound
from services.gateway.jobs.attachments import NoBloodMap, NoReport, attachments, open_blood, open_picture
from services.gateway.jobs.job import Job
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.stages.network_requests import BloodRows
from tests.gateway.jobs.factories import Crash, CrashingStorage, job_of, plan_of, report_of, upload

OPTIONS = JobOptions("ann", "routine", "default", blood=True, key_images=True)


def made(attempt: int) -> tuple[bytes, dict[str, bytes]]:
    """The report of one attempt at a series, with its map and a picture."""
    report = {
        **json.loads(report_of("assessed")),
        "id": f"attempt {attempt}",
        "blood": {"shape": []},
        "key_slices": [3],
    }
    return json.dumps(report).encode(), attachments({3: b"png %d" % attempt}, BloodRows(b"map %d" % attempt, (1, 1)))


def kept(store: JobStore, folder: Path) -> Job:
    """A job that keeps maps and pictures."""
    job, _ = upload(store, folder / "incoming", {"0.dcm": b"0"}, OPTIONS)
    job.create_plan(*plan_of(1))
    return job


def blood_of(job: Job) -> bytes:
    with open_blood(job, 0) as file:
        return file.read()


def picture_of(job: Job) -> bytes:
    file = open_picture(job, 0, 3)
    assert file
    with file:
        return file.read()


def names(store: JobStore, job: Job) -> list[str]:
    return store.storage.names(f"{job.key}/attachments")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("calls", range(5))
def test_a_listed_report_has_its_own_map_and_picture_wherever_a_worker_died(
    store: JobStore, tmp_path: Path, calls: int, *, after: bool
) -> None:
    job = kept(store, tmp_path)
    with pytest.raises(Crash):
        Job(CrashingStorage(store.storage, calls, after=after), "ann", job.id).create_report(0, *made(1))
    if not job.outcomes():
        with pytest.raises(NoReport):
            open_blood(job, 0)
    job.create_report(0, *made(2))
    attempt = json.loads(job.report(0))["id"].encode()[-1:]
    assert (blood_of(job), picture_of(job)) == (b"map " + attempt, b"png " + attempt)


def test_a_second_report_leaves_nothing_behind(store: JobStore, tmp_path: Path) -> None:
    job = kept(store, tmp_path)
    assert job.create_report(0, *made(1))
    first = names(store, job)
    assert not job.create_report(0, *made(2))
    assert not job.create_report(0, *made(1)), "the same bytes again, as after an answer that was lost"
    assert names(store, job) == first
    assert blood_of(job) == b"map 1"


class FullStorage(LocalStorage):
    """Has no room for reports."""

    def create(self, key: str, content: bytes) -> bool:
        if "/reports/" in key:
            raise OSError(28, "No space left on device")
        return super().create(key, content)


def test_attempts_on_a_full_disk_do_not_fill_it(store: JobStore, tmp_path: Path) -> None:
    job = kept(store, tmp_path)
    full = Job(FullStorage(tmp_path / "store", lambda _: None), "ann", job.id)
    for attempt in range(3):
        with pytest.raises(OSError, match="No space"):
            full.create_report(0, *made(attempt))
    assert names(store, job) == []


def test_a_cancelled_job_keeps_those_of_its_finished_reports(store: JobStore, tmp_path: Path) -> None:
    job = kept(store, tmp_path)
    job.create_report(0, *made(1))
    store.cancel(job, "routine")
    assert not job.create_report(1, *made(2))
    assert blood_of(job) == b"map 1"
    assert len(names(store, job)) == 2
    job.remove()
    with pytest.raises(NotFound):
        open_blood(job, 0)


def test_a_job_of_an_older_version_has_none(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    job.create_report(0, report_of("assessed"))
    with pytest.raises(NoBloodMap) as no_map:
        open_blood(job, 0)
    assert "blood=true" in no_map.value.detail
    assert open_picture(job, 0, 0) is None
