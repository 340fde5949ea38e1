"""Schemas of feedback."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.common.labels import Label

Opinion = Literal["agree", "disagree", "uncertain"]


class FeedbackRequest(BaseModel):
    """An opinion on a prediction. A later one of the same reader on the same label and slice replaces it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Label
    slice: int | None = Field(None, ge=0, description="`index` of the slice; null for the series")
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
