"""Comprehensive 3D SR by TID 1500: a measurement group a label, reasons and texts as qualitative evaluations.

A group has the label's presence in the series and its probabilities: the first NUM, without an image, is that of the
series; each other one names the slice that it was measured on. Where nothing was assessed there is no group.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage

from services.common.labels import LABELS, Label
from services.common.version import VERSION
from services.dicom_node.results.codes import (
    ABSENT,
    FINDINGS,
    MEASUREMENT_GROUP,
    PRESENT,
    PROBABILITY,
    PROCEDURE_REPORTED,
)
from services.dicom_node.results.content_items import code, container, image, number, text, uid_reference
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.documents import built_images, new_document
from services.dicom_node.results.object_frame import finish_object, observation_uid
from services.dicom_node.results.observation_context import language, observation_context
from services.dicom_node.results.report_text import (
    RESEARCH_USE,
    SeriesResult,
    method_lines,
    reason_lines,
    series_result,
    verdict,
)
from services.dicom_node.results.result_object import ResultObject
from services.dicom_node.results.uids import derive_uid
from services.dicom_node.software import SOFTWARE

_TITLE: Final = Code("126000", "DCM", "Imaging Measurement Report")
_PROCEDURE: Final = Code("121058", "DCM", "Procedure reported")
_IMAGE_LIBRARY: Final = Code("111028", "DCM", "Image Library")
_IMAGE_LIBRARY_GROUP: Final = Code("126200", "DCM", "Image Library Group")
_MEASUREMENTS: Final = Code("126010", "DCM", "Imaging Measurements")
_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")
_TRACKING_ID: Final = Code("112039", "DCM", "Tracking Identifier")
_TRACKING_UID: Final = Code("112040", "DCM", "Tracking Unique Identifier")
_FINDING: Final = Code("121071", "DCM", "Finding")
_SOURCE: Final = Code("121112", "DCM", "Source of Measurement")
_ALGORITHM_NAME: Final = Code("111001", "DCM", "Algorithm Name")
_ALGORITHM_VERSION: Final = Code("111003", "DCM", "Algorithm Version")
_ALGORITHM_PARAMETERS: Final = Code("111002", "DCM", "Algorithm Parameters")
_COMMENT: Final = Code("121106", "DCM", "Comment")


def build_structured_report(context: ResultContext) -> Sequence[ResultObject]:
    """The SR, of every assessment: one that was not assessed has reasons, and states no presence."""
    root = container(_TITLE, list(_content(context)), template="1500", relationship=None)
    return [finish_object(context, "sr", new_document(context, Comprehensive3DSRStorage, root))]


def _content(context: ResultContext) -> Iterator[Dataset]:
    yield language()
    yield from observation_context(context)
    yield code(_PROCEDURE, PROCEDURE_REPORTED, "HAS CONCEPT MOD")
    library = [image(None, one.sop_class_uid, one.sop_instance_uid) for one in built_images(context)]
    if library:
        yield container(_IMAGE_LIBRARY, [container(_IMAGE_LIBRARY_GROUP, library)], template="1600")
    series = series_result(context)
    if series is not None:
        yield container(_MEASUREMENTS, [_group(context, series, label) for label in LABELS])
    yield container(_EVALUATIONS, [text(_COMMENT, line) for line in _comments(context)])


def _comments(context: ResultContext) -> Iterator[str]:
    yield verdict(context)
    yield from reason_lines(context)
    yield from method_lines(context)
    yield RESEARCH_USE
    yield context.report.disclaimer


def _group(context: ResultContext, series: SeriesResult, label: Label) -> Dataset:
    group = container(MEASUREMENT_GROUP, list(_group_items(context, series, label)), template="1501")
    group.ObservationUID = observation_uid(context, label)
    return group


def _group_items(context: ResultContext, series: SeriesResult, label: Label) -> Iterator[Dataset]:
    yield text(_TRACKING_ID, label, "HAS OBS CONTEXT")
    yield uid_reference(_TRACKING_UID, derive_uid(context.seed, "finding", label), "HAS OBS CONTEXT")
    yield code(_FINDING, FINDINGS[label])
    yield from _algorithm(context, label)
    yield number(PROBABILITY, series.probabilities[label])
    yield from _slice_probabilities(context, label)
    yield code(FINDINGS[label], PRESENT if series.present[label] else ABSENT)


def _slice_probabilities(context: ResultContext, label: Label) -> Iterator[Dataset]:
    for source, row in zip(context.slices, context.report.slices, strict=True):
        if row.probabilities is not None:
            reference = image(
                _SOURCE, source.sop_class_uid, source.sop_instance_uid, source.frame, relationship="INFERRED FROM"
            )
            yield number(PROBABILITY, row.probabilities[label], [reference])


def _algorithm(context: ResultContext, label: Label) -> Iterator[Dataset]:
    """TID 4019: the software with its bundle, and the label's thresholds at the operating point."""
    report = context.report
    yield text(_ALGORITHM_NAME, f"{SOFTWARE}, bundle {report.model.name}", "HAS CONCEPT MOD")
    yield text(_ALGORITHM_VERSION, report.version or VERSION, "HAS CONCEPT MOD")
    for line in (
        f"bundle SHA-256: {report.model.sha256}",
        f"operating point: {report.thresholds.operating_point}",
        f"series threshold: {report.thresholds.series[label]!r}",
        f"slice threshold: {report.thresholds.slice[label]!r}",
    ):
        yield text(_ALGORITHM_PARAMETERS, line, "HAS CONCEPT MOD")
