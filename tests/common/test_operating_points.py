import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.common.labels import LABELS
from services.common.operating_points import LEVELS, OperatingPoint, Thresholds, clamped, out_of_order


def _even(value: float) -> Thresholds:
    return Thresholds(slice=dict.fromkeys(LABELS, value), series=dict.fromkeys(LABELS, value))


levels = st.tuples(*[st.floats(0, 1)] * len(LABELS)).map(lambda row: dict(zip(LABELS, row, strict=True)))
thresholds = st.builds(Thresholds, slice=levels, series=levels)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf])
def test_a_threshold_lies_between_0_and_1(value: float) -> None:
    with pytest.raises(ValidationError):
        Thresholds(slice=_even(0.5).slice, series={**_even(0.5).series, "subdural": value})


def test_thresholds_have_every_label_in_order() -> None:
    with pytest.raises(ValidationError, match="in this order"):
        Thresholds(slice=_even(0.5).slice, series=dict.fromkeys(reversed(LABELS), 0.5))


def test_ordered_points_are_unchanged() -> None:
    points: dict[OperatingPoint, Thresholds] = {"sensitive": _even(0.1), "default": _even(0.5), "specific": _even(0.5)}
    assert out_of_order(points) == []
    assert clamped(points) == points


def test_thresholds_out_of_order_are_named() -> None:
    low = Thresholds(slice={**_even(0.6).slice, "any": 0.2}, series={**_even(0.6).series, "epidural": 0.1})
    points: dict[OperatingPoint, Thresholds] = {"default": _even(0.5), "specific": low, "sensitive": _even(0.5)}
    assert out_of_order(points) == ["specific, slice: any", "specific, series: epidural"]


@given(thresholds, thresholds, thresholds)
def test_clamping_orders_the_points_and_keeps_the_default(one: Thresholds, two: Thresholds, three: Thresholds) -> None:
    points = clamped({"default": one, "sensitive": two, "specific": three})
    assert points["default"] == one
    for level in LEVELS:
        low, middle, high = (points[point].for_level(level) for point in ("sensitive", "default", "specific"))
        assert all(low[label] <= middle[label] <= high[label] for label in LABELS)
    assert out_of_order(points) == []
