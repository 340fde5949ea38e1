import pytest
from pydantic import ValidationError

from services.common.schemas import Evidence, HeadersReport, Reason


def test_fields_of_a_newer_stage_are_ignored() -> None:
    """Containers are replaced one at a time."""
    assert Evidence.model_validate({"bone": 0.1, "novelty": 1}).bone == 0.1
    report = {"series": [{"uid": "1", "study_uid": "2", "items": [{"file": 0, "novelty": 1}], "position_mm": [0.0]}]}
    assert HeadersReport.model_validate({**report, "novelty": 1}).series[0].items[0].file == 0


def test_public_schemas_allow_no_extra_fields() -> None:
    with pytest.raises(ValidationError):
        Reason.model_validate({"code": "x", "detail": "y", "severity": "note", "patient": "Zebedee"})


def test_schemas_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Evidence().bone = 1.0  # type: ignore[misc]
