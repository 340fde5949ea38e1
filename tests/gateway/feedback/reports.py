"""Reports with predictions, in jobs without stages."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.common.labels import LABELS
from services.gateway.feedback.schemas import FeedbackRequest
from services.gateway.jobs.job import Job
from services.gateway.jobs.store import JobStore
from tests.gateway.jobs.factories import job_of


def predictions(present: Sequence[str]) -> dict[str, bool]:
    return {label: label in present for label in LABELS}


def report(series_uid: str | None, slices: Sequence[str | None], present: Sequence[str] = ("any", "subdural")) -> bytes:
    """An assessed report with these labels in the series, and in the slice 1."""
    series = {"series_instance_uid": series_uid, "predictions": predictions(present)} if series_uid else None
    listed: list[dict[str, Any]] = [
        {"index": index, "sop_instance_uid": uid, "predictions": predictions(present if index == 1 else ())}
        for index, uid in enumerate(slices)
    ]
    return json.dumps({"status": "assessed", "series": series, "slices": listed}).encode()


def assessed_job(store: JobStore, folder: Path, *reports: bytes, sender: str = "ann") -> Job:
    """A finished job with these reports, or with one of three slices."""
    found = reports or (report("2.25.1", ["2.25.1.0", "2.25.1.1", "2.25.1.2"]),)
    job = job_of(store, folder, len(found), sender)
    for number, document in enumerate(found):
        job.create_report(number, document)
    store.close(job, "routine", "finished")
    return job


def asked(label: str, opinion: str | None, index: int | None = None) -> FeedbackRequest:
    return FeedbackRequest.model_validate({"label": label, "opinion": opinion, "slice": index})
