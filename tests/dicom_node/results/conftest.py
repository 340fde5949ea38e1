"""Assessments that tests of several documents share."""

from dataclasses import replace

import pytest

from services.common.labels import LABELS
from services.common.schemas import Reason
from services.dicom_node.results.context import ResultContext
from tests.dicom_node.results.assessments import assessment
from tests.scans import head, series

PROBABILITIES = {"any": 0.9123456789012345, "intraparenchymal": 0.7, "subdural": 1 / 3}


@pytest.fixture(scope="session")
def assessed(tmp_path_factory: pytest.TempPathFactory) -> ResultContext:
    """Four slices with their own probabilities, two of them key slices."""
    files = series(4, hu=head(64), PatientID="4711", PatientName="Doe^Jane", AccessionNumber="A1", StudyDate="20260102")
    folder = tmp_path_factory.mktemp("assessed")
    context = assessment(folder, [*files.values()], present=PROBABILITIES, key_slices=(2, 1))  # type: ignore[arg-type]
    rows = tuple(
        row.model_copy(update={"probabilities": dict.fromkeys(LABELS, (row.index + 1) / 7)})
        for row in context.report.slices
    )
    reasons = (Reason(code="gap", detail="A gap of 7.4 mm lies between slices 2 and 3.", severity="warn"),)
    report = context.report.model_copy(update={"slices": rows, "reasons": reasons})
    return replace(context, report=report, warnings=("The series timed out before it was complete.",))


@pytest.fixture(scope="session")
def not_assessed(assessed: ResultContext) -> ResultContext:
    """The same series, refused."""
    refused = Reason(code="not_head", detail="The series shows no head.", severity="refuse")
    report = assessed.report
    values = {"probabilities": None, "predictions": None}
    rows = tuple(row.model_copy(update=values) for row in report.slices)
    updated = {
        "status": "not_assessed",
        "reasons": (refused,),
        "series": report.series and report.series.model_copy(update=values),
        "slices": rows,
        "key_slices": (),
    }
    return replace(assessed, report=report.model_copy(update=updated))
