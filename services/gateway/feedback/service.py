"""Stores opinions with their jobs, and reads those of many jobs."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from services.common.problems import NotFound
from services.gateway.feedback.metrics import count_opinion
from services.gateway.feedback.opinions import (
    About,
    StoredOpinion,
    count_by_series,
    latest_opinions,
    parse_opinions,
)
from services.gateway.feedback.problems import NoPrediction, NoSuchSlice, TooMuchFeedback
from services.gateway.feedback.schemas import FeedbackList, FeedbackRequest, Opinion
from services.gateway.jobs.attachments import read_report
from services.gateway.jobs.job import Job
from services.gateway.jobs.metrics import Counters
from services.gateway.jobs.store import JobStore
from services.gateway.uploads.spool import full_disk_as_problem


@dataclass(frozen=True, slots=True)
class FeedbackService:
    """All operations on opinions.

    redis : counts opinions for the metrics
    changed : gets each job with a new opinion
    max_of_job : largest number of opinions that a job keeps, with the replaced ones
    """

    store: JobStore
    redis: Counters
    changed: Callable[[Job], None]
    max_of_job: int

    def give(self, job: Job, number: int, request: FeedbackRequest, reader: str) -> None:
        """Store a reader's opinion, in place of an earlier one.

        Raises
        ------
        NoReport
            the series has no report
        NoPrediction, NoSuchSlice
            the report predicts nothing about it
        TooMuchFeedback
            the job has `max_of_job` opinions
        SpoolFull
            the disk of the jobs is full
        NotFound
            the job was deleted meanwhile
        """
        predicted = prediction(json.loads(read_report(job, number)), request)
        about, stored = About(number, request.label, request.slice), parse_opinions(job.opinions())
        earlier = [one.opinion for one in stored if (one.about, one.reader) == (about, reader)]
        if (earlier[-1] if earlier else None) == request.opinion:
            return
        if len(stored) >= self.max_of_job:
            raise TooMuchFeedback(
                f"a job keeps {self.max_of_job} opinions, with those that were replaced: export them, and ask the "
                "site to raise ICH_GATEWAY_MAX_JOB_FEEDBACK"
            )
        order = stored[-1].order + 1 if stored else 0
        new = StoredOpinion(order, time.time_ns() // 1_000_000, about, request.opinion, predicted, reader)
        with full_disk_as_problem("jobs"):
            self.store.mark_feedback(job)
            job.create_opinion(new.name)
        with suppress(RedisError):
            count_opinion(self.redis, request.label, request.opinion)
        self.changed(job)

    def of_series(self, job: Job, number: int, reader: str) -> FeedbackList:
        """The latest opinions on a series; NoReport where it has no report."""
        read_report(job, number)
        found = latest_opinions(one for one in parse_opinions(job.opinions()) if one.about.number == number)
        return FeedbackList(reader=reader, feedback=tuple(one.document() for one in found))

    def of_all_jobs(self, sender: str | None) -> Iterator[tuple[Job, list[StoredOpinion]]]:
        """The latest opinions of each job of a sender, or of all senders for None; jobs without any are left out."""
        for job in self.store.jobs_with_feedback(sender):
            with suppress(NotFound):
                if found := latest_opinions(parse_opinions(job.opinions())):
                    yield job, found


def job_opinions(job: Job) -> Mapping[int, Mapping[Opinion, int]]:
    """Numbers of the latest opinions on each series of a job, by kind."""
    return count_by_series(parse_opinions(job.opinions()))


def prediction(report: Mapping[str, Any], request: FeedbackRequest) -> bool:
    """The prediction that an opinion is about.

    Raises
    ------
    NoPrediction
        the series is not assessed, or pictures are no series
    NoSuchSlice
        the report has no such slice
    """
    if report["status"] != "assessed":
        status = str(report["status"]).replace("_", " ")
        raise NoPrediction(f"the series is {status}: there is nothing to agree or disagree with")
    part = report["series"] if request.slice is None else _slice(report, request.slice)
    if part is None:
        raise NoPrediction("single pictures are no series: name the `slice`")
    return bool(part["predictions"][request.label])


def _slice(report: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    found = next((one for one in report["slices"] if one["index"] == index), None)
    if found is None:
        raise NoSuchSlice(f"the report has no slice {index}: `index` of its slices counts from 0")
    return dict(found)
