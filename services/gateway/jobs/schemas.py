"""Schemas of jobs, on disk and in the public API."""

from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from services.common.operating_points import OperatingPoint
from services.common.report_schemas import Report
from services.common.schemas import Reason
from services.common.series_description import SeriesDescription

Priority = Literal["urgent", "routine"]
PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)
JobSource = Literal["upload", "batch", "dicom_node"]
JOB_SOURCES: Final[tuple[JobSource, ...]] = get_args(JobSource)
FinalStatus = Literal["finished", "failed", "cancelled"]
JobStatus = Literal["queued", "running"] | FinalStatus
Outcome = Literal["assessed", "not_assessed", "failed"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(_Frozen):
    """A file of a job: the sender's name for it, the number in its path, and its size in bytes."""

    name: str
    number: str
    size: int


class Manifest(_Frozen):
    """The accepted request; each file has a line below this one."""

    id: str
    sender: str
    priority: Priority
    operating_point: OperatingPoint
    created: str
    digest: str | None = Field(None, description="of files and options, where the sender gave an Idempotency-Key")
    files_digest: str | None = Field(None, description="of names and contents; jobs of older versions lack it")
    webhook_digest: str | None = Field(None, description="of the webhook's address")
    blood: bool = Field(default=False, description="keep each series' blood map; jobs of older versions lack it")
    key_images: bool = Field(
        default=False, description="keep the pictures of key slices; jobs of older versions lack it"
    )
    files: int

    def stored(self) -> str:
        """In JSON, without options of later versions that are off: an older version can read it."""
        return self.model_dump_json(exclude={name for name in ("blood", "key_images") if not getattr(self, name)})


class PlannedSeries(_Frozen):
    """One series of a job, or its pictures. `files` are indices in the manifest, from 0."""

    study_uid: str | None
    series_uid: str | None
    files: tuple[int, ...]
    slices: int
    description: SeriesDescription | None = Field(None, description="for people; jobs of older versions lack it")
    patient: str | None = Field(None, description="keyed hash of PatientID and its issuer")


class LeftOut(_Frozen):
    """A file that belongs to no series, and the reason."""

    file: str
    code: str
    reason: str


class Plan(_Frozen):
    """The series of a job, each with a line below this one. `problem` is set where a stage failed, without series.

    slices : number of slices of each series
    """

    started: str
    slices: tuple[int, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    problem: dict[str, Any] | None = None

    @property
    def series(self) -> range:
        """The numbers of the series."""
        return range(len(self.slices))


class FailedSeries(_Frozen):
    """The series of a FailedReport."""

    study_instance_uid: str | None
    series_instance_uid: str | None
    slices: int


class FailedReport(_Frozen):
    """In place of the report of a series that failed; `problem` is a problem document (RFC 9457)."""

    id: str
    status: Literal["failed"] = "failed"
    created: str | None = Field(None, description="UTC, ISO 8601; older reports lack it")
    version: str | None = Field(None, description="of the software; older reports lack it")
    series: FailedSeries
    problem: dict[str, Any]


class Progress(_Frozen):
    """Progress of a job; null until its series are known."""

    series_done: int
    series: int | None
    slices_done: int
    slices: int | None


class Counts(_Frozen):
    """Series by outcome; the sum is `progress.series_done`."""

    assessed: int = 0
    not_assessed: int = 0
    failed: int = 0


class UsedModel(_Frozen):
    """A bundle, and the number of a job's reports that it made."""

    name: str
    sha256: str = Field(description="of the bundle's card.json")
    reports: int


class JobDocument(_Frozen):
    """A job as its sender sees it."""

    id: str
    status: JobStatus
    priority: Priority
    source: JobSource | None = Field(description="what sent the job; null for jobs of older versions")
    operating_point: OperatingPoint
    files: int
    progress: Progress
    counts: Counts
    series_present: int = Field(description="assessed series with a haemorrhage predicted, of any kind")
    series_with_warnings: int = Field(description="series whose report has a reason of severity `warn`")
    models: tuple[UsedModel, ...] = Field(description="bundles of the reports, most reports first")
    warnings: tuple[Reason, ...] = Field(description="about the job as a whole: `several_models`, `unreadable_files`")
    queue_position: int | None = Field(description="unfinished jobs of the same sender and priority before this one")
    created: str
    started: str | None
    ended: str | None
    left_out: tuple[LeftOut, ...] = Field(description="files that belong to no series; the first hundred")
    left_out_total: int
    problem: dict[str, Any] | None = Field(description="why the job failed, where a stage failed")


class JobChanges(_Frozen):
    """Members of a job that its sender may change."""

    priority: Priority


class JobPage(_Frozen):
    """Jobs, newest first; `next` is the address of the page with older jobs."""

    jobs: tuple[JobDocument, ...]
    next: str | None


class ReportPage(_Frozen):
    """Reports in the order of the series; `next` is the address of the next page."""

    reports: tuple[Report | FailedReport, ...]
    next: str | None
