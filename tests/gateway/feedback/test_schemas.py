import pytest
from pydantic import ValidationError

from services.gateway.feedback.schemas import FeedbackRequest


@pytest.mark.parametrize("index", ["true", "1.5", '"1"'])
def test_a_slice_is_a_whole_number(index: str) -> None:
    with pytest.raises(ValidationError):
        FeedbackRequest.model_validate_json(f'{{"label": "any", "slice": {index}, "opinion": "agree"}}')
