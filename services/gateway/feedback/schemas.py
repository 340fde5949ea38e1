"""Schemas of feedback."""

from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from services.common.addenda import Rate
from services.common.labels import Label

Opinion = Literal["agree", "disagree", "uncertain"]
OPINIONS: Final[tuple[Opinion, ...]] = get_args(Opinion)


class FeedbackRequest(BaseModel):
    """An opinion on a prediction. A later one of the same reader on the same label and slice replaces it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Label
    slice: int | None = Field(None, ge=0, strict=True, description="`index` of the slice; null for the series")
    opinion: Opinion | None = Field(description="null withdraws the opinion")


class Feedback(FeedbackRequest):
    """A stored opinion."""

    reader: str = Field(description="id of the reader's key; `anybody` where no key is required")
    at: str = Field(description="UTC, ISO 8601")
    predicted: bool = Field(description="the prediction that the reader saw")


class FeedbackList(BaseModel):
    """The latest opinions on one series, oldest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reader: str = Field(description="id of the caller's key, as in the opinions of the caller; `anybody` without keys")
    feedback: tuple[Feedback, ...]


class LabelRow(BaseModel):
    """Readers' labels of a series or of a slice: 1, 0, or null for not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    series_instance_uid: str | None = Field(None, description="with `rows=series`")
    sop_instance_uid: str | None = Field(None, description="with `rows=slices`")
    any: Literal[0, 1] | None
    epidural: Literal[0, 1] | None
    intraparenchymal: Literal[0, 1] | None
    intraventricular: Literal[0, 1] | None
    subarachnoid: Literal[0, 1] | None
    subdural: Literal[0, 1] | None
    patient: str | None = Field(description="keyed hash of PatientID and its issuer, as in the worklist")
    readers: int = Field(description="readers with an opinion on any label")


class OpinionRow(Feedback):
    """An opinion and what it is about, with `rows=opinions`."""

    report: str = Field(description="id of the report: the job's id and the number of the series")
    series_instance_uid: str | None
    sop_instance_uid: str | None = Field(description="of the slice; null for the series")


class FeedbackPage(BaseModel):
    """Rows of the export; `next` is the address of the next page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: tuple[LabelRow | OpinionRow, ...]
    next: str | None


class AgreementCounts(BaseModel):
    """Numbers of the latest opinions, by kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agree: int
    disagree: int
    uncertain: int
    rate: Rate | None = Field(description="agree / (agree + disagree), with Wilson's 95 % interval; null without any")


class AgreementPeriod(AgreementCounts):
    """One ISO week, of all labels and of each."""

    week: str = Field(description="such as 2026-W48, in UTC")
    start: str = Field(description="its Monday")
    labels: dict[Label, AgreementCounts] = Field(description="labels with opinions")


class Agreement(BaseModel):
    """Readers' agreement over time, oldest week first; weeks without opinions are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    periods: tuple[AgreementPeriod, ...]
