"""Files beside a job's reports: blood maps and pictures of key slices."""

import json
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

from services.common.problems import NotFound
from services.gateway.jobs.job import Job
from services.gateway.stages.network_requests import BloodRows

BLOOD: Final = "blood"


class NoReport(NotFound):
    code = "no_report"
    title = "This series has no report"


class NoBloodMap(NotFound):
    code = "no_blood_map"
    title = "This report has no blood map"


def attachments(pictures: Mapping[int, bytes], blood: BloodRows | None) -> dict[str, bytes]:
    """The files beside a report, by name."""
    named = {_picture(index): content for index, content in pictures.items()}
    return {**named, BLOOD: blood.data} if blood else named


def open_blood(job: Job, number: int) -> BinaryIO:
    """The blood map of a series' report, open for reading.

    Raises
    ------
    NoReport
        the series has no report
    NoBloodMap
        the report has no blood map; the message says why
    """
    document = read_report(job, number)
    report = json.loads(document)
    content = job.open_attachment(number, document, BLOOD) if report.get("blood") else None
    if content is None:
        raise NoBloodMap(_why_no_blood(job, report))
    return content


def open_picture(job: Job, number: int, index: int) -> BinaryIO | None:
    """The kept picture of a key slice as PNG, open for reading; None where none is kept."""
    return job.open_attachment(number, read_report(job, number), _picture(index))


def read_report(job: Job, number: int) -> bytes:
    """A report that is listed, as stored; NoReport where the series has none."""
    if number not in job.outcomes():
        raise NoReport(
            f"series {number} of this job has no report yet, or the job has no such series; both count from 0"
        )
    return job.report(number)


def _why_no_blood(job: Job, report: Mapping[str, Any]) -> str:
    if not job.manifest().blood:
        return "the job keeps no blood maps; send the files in a new job with blood=true"
    notes = (reason["detail"] for reason in report.get("reasons", ()) if reason["code"] == NoBloodMap.code)
    return next(notes, f"the series is {_status(report)}, so there is no map")


def _status(report: Mapping[str, Any]) -> str:
    return str(report["status"]).replace("_", " ")


def _picture(index: int) -> str:
    return f"image-{index}"
