from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.common.problems import NotFound
from services.gateway.feedback.metrics import FeedbackMetrics
from services.gateway.feedback.problems import NoPrediction, NoSuchSlice, TooMuchFeedback
from services.gateway.feedback.service import FeedbackService, job_opinions
from services.gateway.jobs.attachments import NoReport
from services.gateway.jobs.job import Job
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobStore
from services.gateway.uploads.spool import Spool
from tests.gateway.feedback.counters import CountersInMemory
from tests.gateway.feedback.reports import asked, assessed_job, report
from tests.gateway.jobs.factories import Crash, CrashingStorage, report_of

WRITES = 2  # of one opinion


@pytest.fixture
def changed() -> list[Job]:
    return []


@pytest.fixture
def service(store: JobStore, counters: CountersInMemory, changed: list[Job]) -> FeedbackService:
    return FeedbackService(store, counters, changed.append, max_of_job=5)


def said(service: FeedbackService, job: Job) -> list[tuple[str, int | None, str | None, str, bool]]:
    found = service.of_series(job, 0, "ann").feedback
    return [(one.label, one.slice, one.opinion, one.reader, one.predicted) for one in found]


def test_a_later_opinion_replaces_the_readers_own_only(
    service: FeedbackService, store: JobStore, tmp_path: Path, changed: list[Job]
) -> None:
    job = assessed_job(store, tmp_path)
    service.give(job, 0, asked("subdural", "agree"), "ann")
    service.give(job, 0, asked("subdural", "uncertain", 2), "ann")
    service.give(job, 0, asked("subdural", "disagree"), "bob")
    service.give(job, 0, asked("subdural", "disagree"), "ann")
    assert said(service, job) == [
        ("subdural", 2, "uncertain", "ann", False),
        ("subdural", None, "disagree", "bob", True),
        ("subdural", None, "disagree", "ann", True),
    ]
    assert len(job.opinions()) == 4, "the history is kept"
    assert job_opinions(job) == {0: {"uncertain": 1, "disagree": 2}}
    assert [one.id for one in changed] == [job.id] * 4


def test_an_object_storage_keeps_opinions_with_the_job(
    remote_store: JobStore, counters: CountersInMemory, tmp_path: Path
) -> None:
    job, service = assessed_job(remote_store, tmp_path), FeedbackService(remote_store, counters, lambda _: None, 5)
    for opinion in ("agree", "disagree"):
        service.give(job, 0, asked("any", opinion), "ann")
    assert said(service, job) == [("any", None, "disagree", "ann", True)]
    assert [len(found) for _, found in service.of_all_jobs(None)] == [1]
    job.remove()
    assert list(service.of_all_jobs(None)) == []
    assert list(remote_store.remove_expired(lambda *_: False)) == []
    assert list(remote_store.jobs_with_feedback(None)) == []


def test_a_repeated_opinion_changes_nothing_and_null_withdraws(
    service: FeedbackService, store: JobStore, tmp_path: Path, changed: list[Job]
) -> None:
    job = assessed_job(store, tmp_path)
    service.give(job, 0, asked("any", None), "ann")
    assert job.opinions() == []
    for _ in range(3):
        service.give(job, 0, asked("any", "agree"), "ann")
    assert (len(job.opinions()), len(changed)) == (1, 1)
    service.give(job, 0, asked("any", None), "ann")
    assert said(service, job) == []
    assert list(service.of_all_jobs("ann")) == []
    service.give(job, 0, asked("any", "disagree"), "ann")
    assert said(service, job) == [("any", None, "disagree", "ann", True)]


def test_an_opinion_needs_a_prediction(service: FeedbackService, store: JobStore, tmp_path: Path) -> None:
    pictures, refused = report(None, [None, None]), report_of("not_assessed")
    job = assessed_job(store, tmp_path, report("2.25.1", ["2.25.2"]), pictures, refused)
    for number, index, error in ((0, 1, NoSuchSlice), (1, None, NoPrediction), (2, None, NoPrediction)):
        with pytest.raises(error):
            service.give(job, number, asked("any", "agree", index), "ann")
    with pytest.raises(NoReport):
        service.give(job, 3, asked("any", "agree"), "ann")
    service.give(job, 1, asked("any", "agree", 1), "ann")
    assert len(job.opinions()) == 1


def test_a_job_keeps_a_bounded_number_of_opinions(service: FeedbackService, store: JobStore, tmp_path: Path) -> None:
    job = assessed_job(store, tmp_path)
    for turn in range(5):
        service.give(job, 0, asked("any", "agree" if turn % 2 else "disagree"), "ann")
    with pytest.raises(TooMuchFeedback) as refused:
        service.give(job, 0, asked("any", "agree"), "ann")
    assert "5 opinions" in str(refused.value.detail)
    service.give(job, 0, asked("any", "disagree"), "ann")  # as it is
    assert len(job.opinions()) == 5


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("calls", range(WRITES))
def test_a_crash_loses_no_other_opinion_and_a_repetition_stores_it(
    service: FeedbackService, store: JobStore, counters: CountersInMemory, tmp_path: Path, calls: int, *, after: bool
) -> None:
    job = assessed_job(store, tmp_path)
    service.give(job, 0, asked("epidural", "agree"), "bob")
    storage = CrashingStorage(LocalStorage(tmp_path / "store", lambda _: None), calls, after=after)
    crashed = JobStore(storage, Spool(tmp_path / "other"))
    with pytest.raises(Crash):
        FeedbackService(crashed, counters, lambda _: None, 5).give(
            crashed.job("ann", job.id), 0, asked("any", "agree"), "ann"
        )
    assert ("epidural", None, "agree", "bob", False) in said(service, job)
    service.give(job, 0, asked("any", "agree"), "ann")
    assert len(job.opinions()) == 2
    assert [len(found) for _, found in service.of_all_jobs(None)] == [2]


def test_opinions_at_the_same_time_are_all_kept(store: JobStore, tmp_path: Path, counters: CountersInMemory) -> None:
    job, service = assessed_job(store, tmp_path), FeedbackService(store, counters, lambda _: None, 100)
    readers = [f"reader-{number}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda reader: service.give(job, 0, asked("any", "agree"), reader), readers))
    assert sorted(one[3] for one in said(service, job)) == sorted(readers)


def test_feedback_goes_with_its_job(service: FeedbackService, store: JobStore, tmp_path: Path) -> None:
    job, kept = assessed_job(store, tmp_path), assessed_job(store, tmp_path)
    for each in (job, kept):
        service.give(each, 0, asked("any", "agree"), "ann")
    job.remove()
    assert [found.id for found, _ in service.of_all_jobs(None)] == [kept.id]
    with pytest.raises(NotFound):
        job.create_opinion("000001.1795554948123.000000.-.any.agree.present.ann")
    assert not job.exists()
    assert list(store.remove_expired(lambda *_: False)) == []
    assert [found.id for found in store.jobs_with_feedback("ann")] == [kept.id], "its mark is removed"


def test_opinions_are_counted_when_they_are_given(
    service: FeedbackService, store: JobStore, counters: CountersInMemory, tmp_path: Path
) -> None:
    job = assessed_job(store, tmp_path)
    for opinion in ("agree", "agree", "disagree"):
        service.give(job, 0, asked("any", opinion), "ann")
    (family,) = FeedbackMetrics(counters).collect()
    found = {tuple(sample.labels.values()): sample.value for sample in family.samples}
    assert (found["any", "agree"], found["any", "disagree"], found["subdural", "agree"]) == (1, 1, 0)
    counters.away = True
    service.give(job, 0, asked("any", "uncertain"), "ann")
    assert said(service, job)[0][2] == "uncertain", "an opinion does not need Redis"
    (family,) = FeedbackMetrics(counters).collect()
    assert family.samples == []
