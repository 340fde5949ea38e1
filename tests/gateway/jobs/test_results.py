from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.jobs.results import SeriesResult, model_of, parse_marker
from services.gateway.jobs.schemas import OUTCOMES

RESULTS = st.builds(
    SeriesResult,
    st.sampled_from(OUTCOMES),
    st.none() | st.booleans(),
    st.integers(0, 10_000),
    st.none() | st.text("0123456789abcdef", min_size=12, max_size=12),
)


@given(number=st.integers(0, 60_000), result=RESULTS)
def test_a_marker_is_parsed_to_its_result(number: int, result: SeriesResult) -> None:
    name = result.name(number)
    assert parse_marker(name) == (number, result.outcome, result)
    assert len(name) < 100
    assert "/" not in name


def test_a_marker_of_version_0_1_0_has_an_outcome_only() -> None:
    assert parse_marker("000012.not_assessed") == (12, "not_assessed", None)
    assert parse_marker("000012.unheard_of") is None
    assert parse_marker("something") is None


@pytest.mark.parametrize(
    ("report", "present"),
    [
        ({"series": {"predictions": {"any": True}}}, True),
        ({"series": {"predictions": {"any": False, "epidural": True}}}, True),
        ({"series": {"predictions": {"any": False}}, "slices": [{"predictions": {"any": True}}]}, False),
        ({"series": None, "slices": [{"predictions": {"any": False}}, {"predictions": {"any": True}}]}, True),
        ({"series": None, "slices": [{"predictions": None}]}, False),
    ],
)
def test_a_verdict_comes_from_the_series_or_from_any_picture(report: dict[str, Any], present: bool) -> None:  # noqa: FBT001
    assert SeriesResult.of({"status": "assessed", **report}).present is present
    assert SeriesResult.of({"status": "not_assessed", **report}).present is None


def test_only_warnings_are_counted() -> None:
    reasons = [{"severity": severity} for severity in ("refuse", "warn", "note", "warn")]
    assert SeriesResult.of({"status": "not_assessed", "reasons": reasons}).warnings == 2
    assert SeriesResult.of({"status": "failed", "problem": {}}) == SeriesResult("failed")


def test_a_bundle_is_identified_by_its_hash() -> None:
    assert model_of({"model": {"name": "default", "sha256": "9f86d081884c7d65"}}) == ("9f86d081884c7d65", "default")
    assert model_of({"model": {"name": "x", "sha256": "../x"}}) == ("", "")
    assert model_of({}) == ("", "")
