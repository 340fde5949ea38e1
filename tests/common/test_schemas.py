import pytest
from pydantic import ValidationError

from services.common.schemas import Evidence, HeadersReport, Reason


def test_a_newer_stage_may_say_more_than_an_older_gateway_knows() -> None:
    """Containers are not replaced all at once."""
    assert Evidence.model_validate({"bone": 0.1, "novelty": 1}).bone == 0.1
    report = {"series": [{"uid": "1", "study_uid": "2", "items": [{"file": 0, "novelty": 1}], "position_mm": [0.0]}]}
    assert HeadersReport.model_validate({**report, "novelty": 1}).series[0].items[0].file == 0


def test_what_is_answered_to_people_holds_nothing_unforeseen() -> None:
    with pytest.raises(ValidationError):
        Reason.model_validate({"code": "x", "detail": "y", "severity": "note", "patient": "Zebedee"})


def test_values_stay_as_they_are() -> None:
    with pytest.raises(ValidationError):
        Evidence().bone = 1.0  # type: ignore[misc]
