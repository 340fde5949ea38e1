"""Files of ended jobs are removed by age and by a quota; reports stay."""

from pathlib import Path

import pytest

from services.gateway.jobs.file_retention import FileRetention
from services.gateway.jobs.job import Job
from services.gateway.jobs.store import JobStore
from tests.gateway.jobs.factories import job_of, report_of


def ended(store: JobStore, folder: Path, files: int) -> Job:
    """A finished job with files of one byte each, and a report."""
    job = job_of(store, folder, files)
    job.create_report(0, report_of("assessed"))
    store.close(job, "routine", "finished")
    return job


def with_files(*jobs: Job) -> list[bool]:
    return [job.has_files() for job in jobs]


def test_files_stay_by_default(store: JobStore, tmp_path: Path) -> None:
    job = ended(store, tmp_path, 3)
    assert list(FileRetention().sweep([(job, 1e9)])) == []
    assert job.has_files()


def test_files_are_removed_after_their_time_and_the_report_stays(store: JobStore, tmp_path: Path) -> None:
    old, new = (ended(store, tmp_path, 2) for _ in range(2))
    retention = FileRetention(ttl_s=60)
    assert list(retention.sweep([(old, 61.0), (new, 59.0)])) == [old]
    assert with_files(old, new) == [False, True]
    assert old.report(0) == report_of("assessed")
    assert list(retention.sweep([(old, 62.0), (new, 60.0)])) == [], "each job is reported once"
    assert list(FileRetention(ttl_s=60).sweep([(old, 63.0)])) == [], "after a restart, too"


@pytest.mark.parametrize(("quota_bytes", "kept"), [(0, 0), (2, 0), (3, 1), (6, 2), (8, 2), (9, 3)])
def test_beyond_the_quota_the_jobs_that_ended_first_lose_their_files(
    store: JobStore, tmp_path: Path, quota_bytes: int, kept: int
) -> None:
    jobs = [ended(store, tmp_path, 3) for _ in range(3)]
    ages = [30.0, 20.0, 10.0]
    retention = FileRetention(quota_bytes=quota_bytes)
    removed = list(retention.sweep(list(zip(jobs, ages, strict=True))))
    assert with_files(*jobs) == [number >= 3 - kept for number in range(3)]
    assert len(removed) == 3 - kept
    jobs[0].remove()
    assert list(retention.sweep(list(zip(jobs[1:], ages[1:], strict=True)))) == []
    assert list(retention.sweep([(jobs[0], 1.0)])) == [], "deleted between two sweeps"
