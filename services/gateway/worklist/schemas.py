"""Schemas of the worklist."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.common.labels import Label
from services.common.report_schemas import Probability
from services.gateway.jobs.schemas import JobSource, Priority

SeriesStatus = Literal["queued", "running", "assessed", "not_assessed", "failed", "cancelled"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FeedbackCounts(_Frozen):
    """Readers' latest opinions on the series and its slices, by kind."""

    agree: int = 0
    disagree: int = 0
    uncertain: int = 0


class WorklistEntry(_Frozen):
    """One series of a job; a job without a plan has one entry, whose `number` is null."""

    job: str
    number: int | None = Field(description="number of the series in its job, from 0; null before the job is planned")
    status: SeriesStatus
    received: str = Field(description="of the job: UTC, ISO 8601")
    reported: str | None = Field(description="of the report: UTC, ISO 8601; null without one")
    priority: Priority
    source: JobSource | None = Field(description="what sent the job; null for jobs of older versions")
    slices: int | None
    present: bool | None = Field(description="a haemorrhage of any kind is predicted; null unless assessed")
    warnings: int = Field(description="reasons of severity `warn`")
    probabilities: dict[Label, Probability] | None = Field(
        description="of the series; of independent slices the highest of each label; null unless assessed"
    )
    predictions: dict[Label, bool] | None = Field(description="of the series, or of any independent slice")
    reason: str | None = Field(description="code of the first reason why the series is not assessed, or has failed")
    reason_detail: str | None = Field(description="its text")
    key_slice: int | None = Field(description="`index` of the first key slice")
    blood: bool = Field(description="whether the job keeps the blood map of the series")
    series_description: str | None = Field(description="SeriesDescription; may hold patient data")
    study_description: str | None = Field(description="StudyDescription; may hold patient data")
    acquired: str | None = Field(description="AcquisitionDate and -Time, else those of the series or study; local time")
    patient: str | None = Field(description="keyed hash of PatientID and its issuer: equal for the same patient")
    patient_name: str | None = Field(description="PatientName, where the site shows it; else null")
    feedback: FeedbackCounts


class WorklistPage(_Frozen):
    """Entries in the requested order; `next` is the address of the next page."""

    entries: tuple[WorklistEntry, ...]
    next: str | None
    total: int = Field(description="entries that match the filters")
    positive: int = Field(description="of these, assessed with a haemorrhage predicted")
    not_assessed: int = Field(description="of these, not assessed or failed")
    waiting: int = Field(description="of these, queued or running")
    complete: bool = Field(
        description="false while the index is being built, after an update or its loss: entries may be missing"
    )
    version: int = Field(description="grows with each change of the worklist; as in the events")
