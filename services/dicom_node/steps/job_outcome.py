"""What a job of one series came to. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from services.common.schemas import Reason

_SERVER_ERRORS: Final = 500
_RUNNING: Final = ("queued", "running")
_NO_SERIES: Final = "no_series"


class _Lenient(BaseModel):
    """Fields of a newer gateway are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ReportedSlice(_Lenient):
    """The file and frame of a slice."""

    file: str
    frame: int | None = None


class ReportedBlood(_Lenient):
    """The shape of the blood map, of float32."""

    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Its bytes."""
        return 4 * prod(self.shape)


class FetchedReport(_Lenient):
    """What the node itself reads of a report."""

    id: str
    status: str
    slices: tuple[ReportedSlice, ...] = ()
    key_slices: tuple[int, ...] = ()
    blood: ReportedBlood | None = None

    @property
    def number(self) -> int:
        """The number of its series in the job: the end of its id."""
        return int(self.id.rpartition("-")[2])


@dataclass(frozen=True, slots=True)
class Reported:
    """A report, with warnings about files that it does not cover."""

    document: Mapping[str, Any]
    warnings: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The gateway gave no report. `temporary` is true where its own parts were at fault."""

    code: str
    detail: str
    temporary: bool


def is_running(job: Mapping[str, Any]) -> bool:
    """Whether a job has not ended."""
    return job["status"] in _RUNNING


def job_outcome(job: Mapping[str, Any], reports: Sequence[Mapping[str, Any]]) -> Reported | Failed:
    """The outcome of an ended job, which holds the files of one series."""
    if job["status"] == "cancelled":
        return Failed("job_cancelled", "The job was cancelled at the gateway.", temporary=True)
    if len(reports) > 1:
        return Failed("several_series", f"The gateway found {len(reports)} series in the instances.", temporary=False)
    if not reports:
        return _without_report(job)
    (report,) = reports
    if report["status"] == "failed":
        return _of_problem(report["problem"])
    return Reported(report, tuple(_warnings(job)))


def _without_report(job: Mapping[str, Any]) -> Failed:
    if job.get("problem"):
        return _of_problem(job["problem"])
    detail = " ".join(reason.detail for reason in _left_out(job))
    return Failed(_NO_SERIES, detail or "The gateway found no series in the instances.", temporary=False)


def _of_problem(problem: Mapping[str, Any]) -> Failed:
    status = int(problem.get("status", 0))
    return Failed(str(problem["code"]), str(problem.get("detail", "")), temporary=status >= _SERVER_ERRORS)


def _warnings(job: Mapping[str, Any]) -> Iterator[Reason]:
    yield from _left_out(job)
    yield from (Reason(**warning) for warning in job.get("warnings", ()) if warning["code"] != "several_models")


def _left_out(job: Mapping[str, Any]) -> Iterator[Reason]:
    """One warning for each kind of file that belongs to no series; the document lists the first hundred files."""
    listed = Counter((item["code"], item["reason"]) for item in job.get("left_out", ()))
    for (code, reason), count in listed.items():
        subject = "1 instance was" if count == 1 else f"{count} instances were"
        yield Reason(code=code, detail=f"{subject} left out: {reason}.", severity="warn")
    more = job.get("left_out_total", 0) - listed.total()
    if more > 0:
        yield Reason(code="left_out", detail=f"{more} more instances were left out.", severity="warn")
