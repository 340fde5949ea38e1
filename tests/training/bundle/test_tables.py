import copy
from typing import Any

import pytest

from services.common.labels import LABELS
from training.bundle.tables import baseline_table, level_table, number, shift_table, table

POINT = {"sensitivity": 0.9, "specificity": 0.8}
LABEL: dict[str, Any] = {
    "positives": 3,
    "negatives": 7,
    "auc": 0.91234,
    "auc_95_interval": [0.85, 0.95],
    "average_precision": 0.7,
    "average_precision_95_interval": [0.6, None],
    "calibration_error": 0.0301,
    "default": POINT,
    "sensitive": {"sensitivity": 0.99, "specificity": 0.5},
    "specific": {"sensitivity": 0.5, "specificity": None},
}
SHIFT: dict[str, Any] = {
    "slice_auc": {"any": 0.9},
    "any_slice_auc_95_interval": [0.8, 0.95],
    "any_slice_auc_drop": 0.05,
    "series_auc": {"any": 0.88},
    "healthy_slices_median_any": 0.01,
}


def _cells(text: str, row: int) -> list[str]:
    return [cell.strip() for cell in text.splitlines()[row].strip("|").split("|")]


def test_every_row_of_a_table_has_the_cells_of_its_head() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize(("value", "shown"), [(None, "-"), (0.0, "0.000"), (0.91251, "0.913"), (1.0, "1.000")])
def test_a_number_has_three_decimals_and_zero_is_not_missing(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_a_label_shows_its_counts_intervals_and_every_operating_point() -> None:
    text = level_table(dict.fromkeys(LABELS, LABEL))
    assert _cells(text, 2) == [
        *(LABELS[0], "3 of 10", "0.912 (0.850 to 0.950)", "0.700 (0.600 to -)", "0.030"),
        *("0.900 / 0.800", "0.990 / 0.500", "0.500 / -"),
    ]
    assert [_cells(text, 2 + row)[0] for row in range(len(LABELS))] == list(LABELS)


def test_the_calibration_error_by_chance_appears_with_its_heading_where_the_card_has_it() -> None:
    text = level_table(dict.fromkeys(LABELS, LABEL | {"chance_calibration_error": 0.02}))
    assert _cells(text, 0)[4] == "calibration error (expected by chance)"
    assert _cells(text, 2)[4] == "0.030 (0.020)"
    assert _cells(level_table(dict.fromkeys(LABELS, LABEL)), 0)[4] == "calibration error"


def test_baselines_stand_below_the_bundle_at_every_level() -> None:
    aucs = {level: dict.fromkeys(LABELS, 0.5) for level in ("slice", "middle_slice", "series")}
    own = {level: {label: {"auc": 0.9} for label in LABELS} for level in ("slice", "series")}
    text = baseline_table({**own, "middle_slice_auc": dict.fromkeys(LABELS, 0.8), "beside": {"baseline": aucs}})
    assert [_cells(text, row)[:3] for row in range(2, 8)] == [
        ["the bundle", "slices", "0.900"],
        ["baseline", "slices", "0.500"],
        ["the bundle", "slices of the middle half", "0.800"],
        ["baseline", "slices of the middle half", "0.500"],
        ["the bundle", "series", "0.900"],
        ["baseline", "series", "0.500"],
    ]


def test_the_loss_against_the_same_studies_appears_only_where_every_shift_has_it() -> None:
    twins = copy.deepcopy(SHIFT) | {"any_slice_auc_lost": 0.03, "any_slice_auc_lost_95_interval": [0.01, 0.06]}
    paired = shift_table({"noise": twins})
    assert _cells(paired, 2) == [
        *("noise", "0.900 (0.800 to 0.950)", "0.050", "0.030 (0.010 to 0.060)", "0.880", "0.010"),
    ]
    older = shift_table({"noise": twins, "blur": SHIFT})
    assert [len(_cells(older, row)) for row in range(4)] == [5, 5, 5, 5]
