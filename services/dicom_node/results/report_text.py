"""The result of an assessment in words, for the text SR, the comments of the SR and FHIR."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom import dcmread

from services.common.labels import LABELS, SUBTYPES, Label
from services.common.report_schemas import ReportSlice
from services.common.schemas import Reason
from services.common.version import VERSION
from services.dicom_node.results.context import ResultContext
from services.dicom_node.software import SOFTWARE

NAMES: Final[dict[Label, str]] = {
    "any": "Intracranial haemorrhage",
    "epidural": "Epidural haemorrhage",
    "intraparenchymal": "Intraparenchymal haemorrhage",
    "intraventricular": "Intraventricular haemorrhage",
    "subarachnoid": "Subarachnoid haemorrhage",
    "subdural": "Subdural haemorrhage",
}
RESEARCH_USE: Final = "Research use only. Not a medical device; not for diagnosis or treatment."
_SEVERITIES: Final = {"refuse": "Refused", "warn": "Warning", "note": "Note"}


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """Probabilities and presence of each label in the series."""

    probabilities: Mapping[Label, float]
    present: Mapping[Label, bool]


def series_result(context: ResultContext) -> SeriesResult | None:
    """None where nothing was assessed, and nothing may be stated as present or absent."""
    report, series = context.report, context.report.series
    if report.status != "assessed" or series is None or series.probabilities is None or series.predictions is None:
        return None
    return SeriesResult(series.probabilities, series.predictions)


def verdict(context: ResultContext) -> str:
    """The first sentence of the result."""
    series = series_result(context)
    if series is None:
        return "Not assessed. No statement about haemorrhage is made; the reasons follow."
    present = [NAMES[label] for label in SUBTYPES if series.present[label]]
    stated = "PRESENT" if series.present["any"] else "not detected"
    types = f" Types: {', '.join(present)}." if present else ""
    numbers = _numbers(series.probabilities["any"], context.report.thresholds.series["any"])
    return f"Intracranial haemorrhage: {stated} ({numbers}).{types}"


def label_lines(context: ResultContext) -> Iterator[str]:
    """One line a label; none where nothing was assessed."""
    series = series_result(context)
    if series is None:
        return
    for label in LABELS:
        presence = "present" if series.present[label] else "absent"
        numbers = _numbers(series.probabilities[label], context.report.thresholds.series[label])
        yield f"{NAMES[label]}: {presence}, {numbers}."


def _numbers(probability: float, threshold: float) -> str:
    """Both numbers, with digits enough to distinguish them."""
    digits = next((count for count in (3, 6) if round(probability, count) != round(threshold, count)), 9)
    return f"probability {probability:.{digits}f}, threshold {threshold:.{digits}f}"


def key_slice_lines(context: ResultContext) -> Iterator[str]:
    """One line a key slice, by its number in the series, its InstanceNumber and its position."""
    rows = context.report.slices
    for index in context.report.key_slices:
        yield f"Slice {index + 1} of {len(rows)}{_instance(context, index)}: {_slice_text(rows[index])}"


def _slice_text(row: ReportSlice) -> str:
    position = f"position {row.position_mm:.1f} mm"
    if row.probabilities is None or row.predictions is None:
        return f"{position}."
    present = [f"{label} {row.probabilities[label]:.3f}" for label in LABELS if row.predictions[label]]
    return f"{position}, {', '.join(present) or 'no label predicted'}."


def _instance(context: ResultContext, index: int) -> str:
    if index >= len(context.slices):
        return ""
    source = context.slices[index]
    number = dcmread(source.path, specific_tags=["InstanceNumber"], stop_before_pixels=True).get("InstanceNumber")
    frame = "" if source.frame is None else f", frame {source.frame + 1}"
    return frame if number is None else f" (image {number}{frame})"


def reason_lines(context: ResultContext) -> Iterator[str]:
    """Reasons of the report, then warnings of the node."""
    yield from map(_reason, context.report.reasons)
    for warning in context.warnings:
        yield f"Warning (DICOM node): {warning}"


def _reason(reason: Reason) -> str:
    return f"{_SEVERITIES[reason.severity]} ({reason.code}): {reason.detail}"


def method_lines(context: ResultContext) -> Iterator[str]:
    """Software, bundle and operating point."""
    report = context.report
    yield f"Software: {SOFTWARE} {report.version or VERSION}; DICOM objects by version {VERSION}."
    yield f"Bundle: {report.model.name}, SHA-256 of its card {report.model.sha256}."
    yield f"Operating point: {report.thresholds.operating_point}."
    if context.number > 1:
        yield f"Assessment {context.number} of this series; it replaces the earlier ones."
