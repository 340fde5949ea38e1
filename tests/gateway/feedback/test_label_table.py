from pathlib import Path

import pytest

from services.gateway.feedback.label_table import label_rows, opinion_rows
from services.gateway.feedback.opinions import About, StoredOpinion
from services.gateway.feedback.schemas import Opinion
from services.gateway.feedback.service import FeedbackService
from services.gateway.jobs.job import Job
from services.gateway.jobs.store import JobStore
from tests.gateway.feedback.counters import CountersInMemory
from tests.gateway.feedback.reports import asked, assessed_job, report


@pytest.fixture
def service(store: JobStore, counters: CountersInMemory) -> FeedbackService:
    return FeedbackService(store, counters, lambda _: None, max_of_job=100)


def test_agreement_is_the_prediction_and_disagreement_its_opposite(
    service: FeedbackService, store: JobStore, tmp_path: Path
) -> None:
    job = assessed_job(store, tmp_path)  # `any` and `subdural` are predicted
    for label, opinion in (("any", "agree"), ("subdural", "disagree"), ("epidural", "agree")):
        service.give(job, 0, asked(label, opinion), "ann")
    service.give(job, 0, asked("subarachnoid", "disagree"), "ann")
    service.give(job, 0, asked("intraventricular", "uncertain"), "ann")
    (row,) = label_rows(service.of_all_jobs(None), "series")
    assert (row.series_instance_uid, row.readers) == ("2.25.1", 1)
    assert (row.any, row.subdural, row.epidural, row.subarachnoid) == (1, 0, 0, 1)
    assert (row.intraventricular, row.intraparenchymal) == (None, None)
    assert label_rows(service.of_all_jobs(None), "slices") == []


@pytest.mark.parametrize(
    ("opinions", "label"),
    [
        (("agree", "agree", "disagree"), 1),
        (("agree", "disagree"), None),
        (("disagree", "uncertain"), 0),
        (("uncertain", "uncertain"), None),
    ],
)
def test_the_majority_of_certain_readers_counts(
    service: FeedbackService, store: JobStore, tmp_path: Path, opinions: tuple[str, ...], label: int | None
) -> None:
    job = assessed_job(store, tmp_path)
    for number, opinion in enumerate(opinions):
        service.give(job, 0, asked("any", opinion, 1), f"reader-{number}")
    (row,) = label_rows(service.of_all_jobs(None), "slices")
    assert (row.sop_instance_uid, row.any, row.readers) == ("2.25.1.1", label, len(opinions))


def test_a_series_that_was_sent_twice_has_one_row(service: FeedbackService, store: JobStore, tmp_path: Path) -> None:
    first, second = assessed_job(store, tmp_path), assessed_job(store, tmp_path, sender="bob")
    given: list[tuple[int, Job, Opinion]] = [(2000, first, "agree"), (1000, second, "disagree")]
    for at_ms, job, opinion in given:
        store.mark_feedback(job)
        stored = StoredOpinion(0, at_ms, About(0, "any", None), opinion, predicted=True, reader="ann")
        job.create_opinion(stored.name)
    service.give(second, 0, asked("subdural", "agree"), "rea")
    (row,) = label_rows(service.of_all_jobs(None), "series")
    assert (row.any, row.subdural, row.readers) == (1, 1, 2)
    assert len(list(opinion_rows(service.of_all_jobs(None)))) == 3


def test_slices_without_an_instance_of_their_own_are_rows_of_opinions_only(
    service: FeedbackService, store: JobStore, tmp_path: Path
) -> None:
    frames, pictures = report("2.25.1", ["2.25.9", "2.25.9"]), report(None, [None, None])
    job = assessed_job(store, tmp_path, frames, pictures)
    for number in (0, 1):
        service.give(job, number, asked("any", "agree", 1), "ann")
    assert label_rows(service.of_all_jobs(None), "slices") == []
    first, second = opinion_rows(service.of_all_jobs(None))
    assert (first.report, first.slice, first.sop_instance_uid) == (f"{job.id}-000000", 1, None)
    assert (second.series_instance_uid, second.reader, second.predicted) == (None, "ann", True)
