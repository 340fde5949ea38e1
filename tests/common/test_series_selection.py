"""The selection among several series of a study, and its reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.acceptance import make_reason
from services.common.schemas import SeriesHeader, SliceReference
from services.common.series_selection import select_best_series


def series(uid: str, slices: int = 30, **changes: Any) -> SeriesHeader:
    items = tuple(SliceReference(file=index) for index in range(slices))
    known = {"study_uid": "1", "items": items, "position_mm": (0.0,) * slices, "kernel": "soft", "thickness_mm": 5.0}
    return SeriesHeader(uid=uid, **{**known, **changes})


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (
            series("1.1", reasons=(make_reason("other_body_part", part="NECK", slices=1, total=1),)),
            "its headers do not refuse it",
        ),
        (series("1.1", slices=3), "it covers more of the head"),
        (series("1.1", kernel="sharp"), "its kernel is softer"),
        (series("1.1", kernel="unknown"), "its kernel is softer"),
        (series("1.1", contrast=True), "it has no contrast agent"),
        (series("1.1", slices=240, thickness_mm=0.6), "its slices are closer to 5 mm"),
        (series("1.1", thickness_mm=None), "its slices are closer to 5 mm"),
        (series("1.1", slices=20), "it has more slices"),
        (series("1.1", derived=True), "it is original"),
        (series("1.8"), "all else is equal"),
    ],
)
def test_each_criterion_decides(other: SeriesHeader, why: str) -> None:
    found = select_best_series([other, series("1.7")])
    assert found
    assert found.uid == "1.7"
    assert found.reason.startswith("soft kernel, 5 mm, 30 slices, plain; ")
    assert why in found.reason


@given(st.permutations([series("1.1", kernel="sharp"), series("1.2"), series("1.3", thickness_mm=1.0), series("1.4")]))
def test_the_order_of_series_changes_no_selection(found: list[SeriesHeader]) -> None:
    best = select_best_series(found)
    assert best
    assert best.uid == "1.2"


def test_without_a_choice_there_is_no_selection() -> None:
    refusal = (make_reason("other_body_part", part="NECK", slices=1, total=1),)
    assert select_best_series([]) is None
    assert select_best_series([series("1.1")]) is None
    assert select_best_series([series("1.1"), series("1.2", study_uid="2")]) is None
    assert select_best_series([series("1.1", reasons=refusal), series("1.2", reasons=refusal)]) is None
