"""Slabs by position: every slice in one slab, no slab across a gap, none too thick, for any spacing."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.card import Card
from services.common.schemas import SeriesHeader, SliceReference
from services.common.slabs import MAX_SLICES, SlabPlan, median_spacing_mm, plan_series, plan_slabs
from tests.bundles import fake_bundle

SLAB_MM = 5.0
STEPS = st.one_of(st.sampled_from([0.0, 0.5, 0.6, 0.625, 1.0, 1.25, 2.0, 4.0, 12.0]), st.floats(0, 20, allow_nan=False))


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Card:
    folder: Path = tmp_path_factory.mktemp("slabs") / "bundle"
    return fake_bundle(folder).card.model_copy(update={"spacing_mm": (2.2, 6.0)})


def even(count: int, spacing_mm: float, first_mm: float = 0.0) -> list[float]:
    return [round(first_mm + index * spacing_mm, 4) for index in range(count)]


def header(position_mm: list[float], uid: str | None = "2.25.10") -> SeriesHeader:
    items = tuple(SliceReference(file=index) for index in range(len(position_mm)))
    return SeriesHeader(uid=uid, study_uid="2.25.1", items=items, position_mm=tuple(position_mm))


@given(st.lists(STEPS, max_size=150), st.sampled_from([3.0, 5.0, 7.5]))
def test_every_slice_is_in_one_slab_and_slabs_follow_each_other(steps: list[float], slab_mm: float) -> None:
    position_mm = [0.0]
    for step in steps:
        position_mm.append(round(position_mm[-1] + step, 4))

    slabs = plan_slabs(position_mm, slab_mm)

    assert [index for slab in slabs for index in slab] == list(range(len(position_mm)))
    for slab in slabs:
        own = position_mm[slab.start : slab.stop]
        assert 0 < len(own) <= MAX_SLICES
        assert own[-1] - own[0] <= 1.5 * slab_mm
        assert all(after - before <= slab_mm + 1e-6 for before, after in pairwise(own)), "a gap is in it"


@given(st.integers(1, 400), st.floats(0.2, 2.4), st.floats(-500, 500))
def test_evenly_spaced_slices_make_slabs_of_nearly_equal_thickness(
    count: int, spacing_mm: float, first_mm: float
) -> None:
    slabs = plan_slabs(even(count, spacing_mm, first_mm), SLAB_MM)

    counts = [len(slab) for slab in slabs]
    assert max(counts) - min(counts) <= 1
    assert max(counts) * spacing_mm <= 1.5 * SLAB_MM + spacing_mm
    if count * spacing_mm > 10 * SLAB_MM:
        assert count * spacing_mm / len(slabs) == pytest.approx(SLAB_MM, rel=0.06)


@given(st.integers(2, 60), st.integers(2, 60), st.floats(0.3, 2.0), st.floats(1.7, 40))
def test_no_slab_spans_a_gap(below: int, above: int, spacing_mm: float, times: float) -> None:
    position_mm = even(below, spacing_mm)
    position_mm += even(above, spacing_mm, position_mm[-1] + times * spacing_mm)

    assert below in [slab.start for slab in plan_slabs(position_mm, SLAB_MM)]


def test_a_finer_skull_base_has_no_gaps() -> None:
    position_mm = [*even(50, 0.6), *even(40, 1.25, 50 * 0.6 + 0.65)]

    slabs = plan_slabs(position_mm, SLAB_MM)

    assert {len(slab) for slab in slabs if slab.start < 42} <= {8, 9}
    assert {len(slab) for slab in slabs if slab.start > 52} <= {3, 4}


def test_slices_at_one_position_share_a_slab() -> None:
    position_mm = [position for position in even(40, 1.25) for _ in range(2)]

    once, twice = plan_slabs(even(40, 1.25), SLAB_MM), plan_slabs(position_mm, SLAB_MM)

    assert [range(2 * slab.start, 2 * slab.stop) for slab in once] == list(twice)
    assert [len(slab) for slab in plan_slabs([0.0] * 70, SLAB_MM)] == [23, 23, 24]


@given(st.lists(STEPS, min_size=1, max_size=80), st.integers(1, 40))
def test_chunks_hold_whole_rows_in_order(steps: list[float], most: int) -> None:
    position_mm = [sum(steps[:index]) for index in range(len(steps) + 1)]
    plan = SlabPlan(plan_slabs(position_mm, SLAB_MM))

    chunks = list(plan.chunks(most))

    assert tuple(row for chunk in chunks for row in chunk) == plan.rows
    assert all(len(chunk) == 1 or chunk[-1].stop - chunk[0].start <= most for chunk in chunks)
    assert len(plan.row_of) == len(position_mm)
    assert [plan.rows[row].start for row in plan.row_of] == sorted(plan.rows[row].start for row in plan.row_of)


@pytest.mark.parametrize(
    ("position_mm", "spacing_mm"),
    [([0.0], None), ([3.0, 3.0, 3.0], None), ([0.0, 0.0, 1.0, 1.0, 2.0, 7.0], 1.0), (even(9, 0.625), 0.625)],
)
def test_the_median_step_between_distinct_positions(position_mm: list[float], spacing_mm: float | None) -> None:
    assert median_spacing_mm(position_mm) == spacing_mm


@pytest.mark.parametrize(
    ("spacing_mm", "average", "codes", "rows"),
    [
        (5.0, True, [], 40),
        (2.2, True, [], 40),
        (1.25, True, ["spacing_not_learnt", "averaged"], 10),
        (1.25, False, ["spacing_not_learnt"], 40),
        (7.0, True, ["spacing_not_learnt"], 40),
    ],
)
def test_reasons_of_a_spacing(card: Card, spacing_mm: float, average: bool, codes: list[str], rows: int) -> None:  # noqa: FBT001 - a row of a table
    plan = plan_series(header(even(40, spacing_mm)), card, average=average)

    said = [*plan.reasons, *([plan.note] if plan.note else [])]
    assert [item.code for item in said] == codes
    assert (len(plan.rows), plan.averaged) == (rows, "averaged" in codes)
    assert all(f"{spacing_mm:.2f} mm apart" in item.detail for item in said)


@pytest.mark.parametrize("wrong", [float("inf"), float("nan"), 1e39])
def test_non_finite_positions_leave_slices_unchanged(card: Card, wrong: float) -> None:
    plan = plan_series(header([*even(20, 0.5), wrong]), card)
    assert [index for row in plan.rows for index in row] == list(range(21))


def test_slices_too_far_apart_for_slabs_only_warn(card: Card) -> None:
    narrow = card.model_copy(update={"spacing_mm": (4.0, 6.0)})
    plan = plan_series(header(even(20, 3.0)), narrow)
    assert [item.code for item in plan.reasons] == ["spacing_not_learnt"]
    assert not plan.averaged
    assert [len(row) for row in plan_series(header(even(20, 2.5)), narrow).rows] == [2] * 10


def test_rows_lie_at_the_mean_of_their_slices(card: Card) -> None:
    position_mm = even(8, 1.25)
    plan = plan_series(header(position_mm), card)
    assert plan.positions_mm(position_mm) == (1.875, 6.875)


def test_older_cards_single_slices_and_png_slices_are_unchanged(card: Card) -> None:
    older = card.model_copy(update={"spacing_mm": None})
    for given_header, given_card in (
        (header(even(40, 0.6)), older),
        (header([7.0]), card),
        (header([0.0] * 5, uid=None), card),
        (header([0.0] * 5), card),
    ):
        plan = plan_series(given_header, given_card)
        assert plan == SlabPlan(tuple(range(index, index + 1) for index in range(len(given_header.items))))


def test_chunks_are_cut_by_the_price_of_slices() -> None:
    plan = SlabPlan(tuple(range(index, index + 1) for index in range(6)))
    costs = [1, 1, 64, 4, 4, 9]
    chunks = [[row.start for row in chunk] for chunk in plan.chunks(16, costs)]
    assert chunks == [[0, 1], [2], [3, 4], [5]]
    assert [len(chunk) for chunk in plan.chunks(4)] == [4, 2]
