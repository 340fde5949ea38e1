import pytest
from pydantic import ValidationError

from services.common.timestamps import utc_now
from services.gateway.jobs.schemas import OUTCOMES, PRIORITIES, Counts, Plan


def test_a_plan_numbers_its_series() -> None:
    plan = Plan(started=utc_now(), slices=(3, 1))
    assert list(plan.series) == [0, 1]
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_urgent_comes_first_and_every_outcome_is_counted() -> None:
    assert PRIORITIES == ("urgent", "routine")
    assert set(Counts.model_fields) == set(OUTCOMES)


def test_schemas_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Counts().assessed = 1  # type: ignore[misc] # tests the refusal
