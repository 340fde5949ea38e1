"""The summary of a report for lists, as the content of the marker of its result: a report itself has 100 kB."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from services.common.labels import LABELS, Label
from services.gateway.jobs.results import SeriesResult
from services.gateway.jobs.schemas import Outcome


class SeriesSummary(BaseModel):
    """The parts of a report, or of the FailedReport in its place, that a list shows."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a later version may have more

    outcome: Outcome
    reported: str | None
    slices: int | None
    present: bool | None
    warnings: int
    probabilities: dict[Label, float] | None
    predictions: dict[Label, bool] | None
    reason: str | None
    reason_detail: str | None
    key_slice: int | None
    blood: bool

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Self:
        """From a report; of independent slices the highest probability of each label."""
        parts, reason, result = _assessed_parts(report), _reason(report), SeriesResult.of(report)
        return cls(
            outcome=result.outcome,
            reported=report.get("created"),
            slices=len(report["slices"]) if report.get("slices") else (report.get("series") or {}).get("slices"),
            present=result.present,
            warnings=result.warnings,
            probabilities=_highest(parts),
            predictions=_any(parts),
            reason=reason.get("code"),
            reason_detail=reason.get("detail"),
            key_slice=next(iter(report.get("key_slices") or ()), None),
            blood=bool(report.get("blood")),
        )


def _assessed_parts(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The series, or its slices where they are independent; none unless assessed."""
    series = report.get("series")
    parts = [series] if series else report.get("slices", ())
    return [part for part in parts if part.get("predictions")] if report["status"] == "assessed" else []


def _highest(parts: list[Mapping[str, Any]]) -> dict[Label, float] | None:
    rows = [part["probabilities"] for part in parts if part.get("probabilities")]
    return {label: max(row.get(label, 0.0) for row in rows) for label in LABELS} if rows else None


def _any(parts: list[Mapping[str, Any]]) -> dict[Label, bool] | None:
    return {label: any(part["predictions"].get(label) for part in parts) for label in LABELS} if parts else None


def _reason(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first reason of a refusal, or the problem of a failure."""
    if report["status"] == "failed":
        return report.get("problem") or {}
    return next((reason for reason in report.get("reasons", ()) if reason["severity"] == "refuse"), {})
