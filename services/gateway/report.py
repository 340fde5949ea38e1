"""Builds the report of an assessment. Pure."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from services.common.acceptance import is_refused
from services.common.disclaimer import DISCLAIMER
from services.common.labels import LABELS, SUBTYPES, Label
from services.common.operating_points import OperatingPoint, Thresholds
from services.common.predictions import predict
from services.common.recipe import Recipe
from services.common.report_schemas import (
    BloodGrid,
    BloodMap,
    Report,
    ReportModel,
    ReportSeries,
    ReportSlice,
    ReportThresholds,
    Timings,
)
from services.common.schemas import SeriesHeader
from services.common.series_evidence import series_evidence
from services.common.version import VERSION
from services.gateway.assessment import Assessment
from services.gateway.bundle import ServedBundle
from services.gateway.locations import find_locations
from services.gateway.stages.network_requests import BloodRows

_KEY_SLICES: Final = 5


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Parts of a report that a request asks for: each slice's picture, those of key slices only, the blood map."""

    images: bool = False
    key_images: bool = False
    blood: bool = False

    @property
    def geometry(self) -> bool:
        """Whether anything is shown that has to be mapped to the source."""
        return self.images or self.key_images or self.blood


@dataclass(frozen=True, slots=True)
class ReportIdentity:
    """The id of a report and its time in UTC (ISO 8601)."""

    id: str
    created: str


def build_report(
    assessment: Assessment,
    names: Sequence[str],
    bundle: ServedBundle,
    *,
    identity: ReportIdentity,
    operating_point: OperatingPoint,
    timings: Timings,
) -> Report:
    """The report of one assessment; `names` are the file names in upload order. The blood map comes without `data`."""
    thresholds = _thresholds(bundle.card.thresholds[operating_point], assessment)
    series = _series(assessment, thresholds)
    not_assessed = is_refused(assessment.reasons)
    slices = _slices(assessment, names, thresholds, series)
    return Report(
        id=identity.id,
        status="not_assessed" if not_assessed else "assessed",
        created=identity.created,
        version=VERSION,
        reasons=assessment.reasons,
        evidence=series_evidence(assessment.header, assessment.evidence) if not_assessed else None,
        series=series,
        slices=slices,
        findings=_findings(series, slices),
        key_slices=_key_slices(slices),
        blood=_blood_map(assessment.blood, bundle.card.recipe) if assessment.blood else None,
        locations=find_locations(assessment, slices) if assessment.blood and series else None,
        model=_model(bundle, assessment),
        thresholds=ReportThresholds(operating_point=operating_point, slice=thresholds.slice, series=thresholds.series),
        timings_ms=timings,
        disclaimer=DISCLAIMER,
    )


def with_geometry(report: Report, header: SeriesHeader) -> Report:
    """The report with each slice's geometry, where preprocess gives one."""
    slices = (
        part if item.geometry is None else part.model_copy(update={"geometry": header.geometries[item.geometry]})
        for part, item in zip(report.slices, header.items, strict=True)
    )
    return report.model_copy(update={"slices": tuple(slices)})


def with_data(report: Report, pictures: Mapping[int, bytes], blood: BloodRows | None) -> Report:
    """The report with pictures of some slices, and with the values of its blood map."""
    slices = (
        item.model_copy(update={"image": _base64(pictures[item.index])}) if item.index in pictures else item
        for item in report.slices
    )
    mapped = report.blood and blood and report.blood.model_copy(update={"data": _base64(blood.data)})
    return report.model_copy(update={"slices": tuple(slices), "blood": mapped})


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _blood_map(blood: BloodRows, recipe: Recipe) -> BloodMap:
    rows, columns = blood.grid
    return BloodMap(
        shape=(blood.rows, rows, columns, len(SUBTYPES)),
        labels=SUBTYPES,
        grid=BloodGrid(rows=rows, columns=columns, cell_height=recipe.rows / rows, cell_width=recipe.columns / columns),
    )


def _model(bundle: ServedBundle, assessment: Assessment) -> ReportModel:
    engines = assessment.scores.engines if assessment.scores else {}
    return ReportModel(
        name=bundle.card.name,
        sha256=bundle.card_sha256,
        recipe=bundle.card.recipe.fingerprint,
        engines=dict(engines) or None,
    )


def _thresholds(thresholds: Thresholds, assessment: Assessment) -> Thresholds:
    return thresholds.for_single_slice() if len(assessment.header.items) == 1 else thresholds


def _series(assessment: Assessment, thresholds: Thresholds) -> ReportSeries | None:
    header = assessment.header
    if header.uid is None and len(header.items) > 1:
        return None
    row = _series_row(assessment)
    probabilities = _named(row) if row else None
    return ReportSeries(
        study_instance_uid=header.study_uid,
        series_instance_uid=header.uid,
        slices=len(header.items),
        probabilities=probabilities,
        predictions=predict(probabilities, thresholds.series) if probabilities else None,
    )


def _series_row(assessment: Assessment) -> Sequence[float] | None:
    """The probabilities of the series; those of its slice where it has one slice, so that both agree."""
    scores = assessment.scores
    if scores is None:
        return None
    return scores.slices[0] if len(scores.slices) == 1 else scores.series


def _slices(
    assessment: Assessment, names: Sequence[str], thresholds: Thresholds, series: ReportSeries | None
) -> tuple[ReportSlice, ...]:
    header, scores, pictures = assessment.header, assessment.scores, assessment.pictures
    whole = series.predictions if series else None
    found = []
    for index, (item, position_mm) in enumerate(zip(header.items, header.position_mm, strict=True)):
        probabilities = _named(scores.slices[index]) if scores else None
        found.append(
            ReportSlice(
                index=index,
                file=names[item.file],
                frame=item.frame,
                sop_instance_uid=item.sop_instance_uid,
                position_mm=position_mm,
                slab=assessment.slabs[index] if assessment.slabs else None,
                probabilities=probabilities,
                predictions=predict(probabilities, thresholds.slice, series=whole) if probabilities else None,
                image=_base64(pictures[index]) if index < len(pictures) else None,
            )
        )
    return tuple(found)


def _named(row: Sequence[float]) -> dict[Label, float]:
    return {label: round(value, 6) for label, value in zip(LABELS, row, strict=True)}


def _findings(series: ReportSeries | None, slices: Sequence[ReportSlice]) -> tuple[str, ...]:
    if series is None:
        return tuple(_finding_of_slices(label, slices) for label in LABELS) if slices[0].predictions else ()
    if series.probabilities is None or series.predictions is None:
        return ()
    return tuple(finding(label, series.predictions[label], series.probabilities[label]) for label in LABELS)


def finding(label: Label, present: bool, probability: float) -> str:  # noqa: FBT001 - a row of a table
    """One line of `findings`."""
    return f"{label}: {'present' if present else 'absent'} ({probability:.2f})"


def _finding_of_slices(label: Label, slices: Sequence[ReportSlice]) -> str:
    """One line of `findings` for independent slices: the number of slices where the label is present."""
    present = sum(bool(item.predictions and item.predictions[label]) for item in slices)
    highest = max(item.probabilities[label] for item in slices if item.probabilities)
    word = f"present in {present} of {len(slices)} slices" if present else "absent"
    return f"{label}: {word} (highest {highest:.2f})"


def _key_slices(slices: Sequence[ReportSlice]) -> tuple[int, ...]:
    predicted = [item for item in _one_per_slab(slices) if item.predictions and item.predictions["any"]]
    highest = sorted(predicted, key=lambda item: -item.probabilities["any"] if item.probabilities else 0.0)
    return tuple(item.index for item in highest[:_KEY_SLICES])


def _one_per_slab(slices: Sequence[ReportSlice]) -> list[ReportSlice]:
    """The middle slice of each slab; all slices where nothing was averaged."""
    groups = groupby(slices, lambda item: (item.slab, item.index if item.slab is None else None))
    return [own[len(own) // 2] for own in (list(group) for _, group in groups)]
