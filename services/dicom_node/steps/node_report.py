"""The report of a series that the gateway did not assess, in the form of the gateway's reports. Pure."""

from collections.abc import Sequence

from services.common.disclaimer import DISCLAIMER
from services.common.report_schemas import Report, ReportModel, ReportSeries, ReportThresholds, Timings
from services.common.schemas import Reason
from services.common.version import VERSION
from services.dicom_node.registry.assessments import Assessment

_NONE = ReportModel(name="", sha256="", recipe="")


def not_assessed_report(assessment: Assessment, reasons: Sequence[Reason], slices: int) -> Report:
    """A report with the status `not_assessed`, of no model."""
    return Report(
        id=f"assessment-{assessment.id}",
        status="not_assessed",
        created=assessment.created_at,
        version=VERSION,
        reasons=tuple(reasons),
        series=ReportSeries(
            study_instance_uid=assessment.study_uid, series_instance_uid=assessment.series_uid, slices=slices
        ),
        slices=(),
        findings=(),
        key_slices=(),
        model=_NONE,
        thresholds=ReportThresholds(operating_point="default", slice={}, series={}),
        timings_ms=Timings(upload=0, preprocess=0, cnn=0, rnn=0, total=0),
        disclaimer=DISCLAIMER,
    )
