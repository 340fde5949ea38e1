from typing import Any

import pytest

from services.common.labels import LABELS
from training.evaluate.targets import Target, target_table, targets


def _metrics(**changes: float) -> dict[str, Any]:
    auc = {"any": 0.96} | dict.fromkeys(LABELS[1:], 0.9)
    level = {
        label: {"auc": auc[label], "auc_95_interval": [auc[label] - 0.03, 0.99], "calibration_error": 0.02}
        for label in LABELS
    }
    others = {
        "cnn": dict.fromkeys(LABELS, 0.89),
        "rnn, slices alone": dict.fromkeys(LABELS, 0.887),
        "pixels from 50 to 100 HU": dict.fromkeys(LABELS, 0.7),
        "area of the brain": dict.fromkeys(LABELS, 0.6),
    }
    return {
        "slice": level,
        "series": level,
        "healthy_slices_median_any": changes.get("median", 0.05),
        "beside": {name: {"slice": found, "series": found} for name, found in others.items()},
        "shifted": {"thickness": {"any_slice_auc_drop": changes.get("drop", 0.01)}},
    }


def _failing(metrics: dict[str, Any]) -> list[str]:
    return [target.name for target in targets(metrics) if target.holds is False]


def test_a_bundle_that_reaches_all() -> None:
    assert _failing(_metrics()) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"median": 0.3}, "median probability of any in healthy slices"),
        ({"drop": 0.041}, "AUC of any by slice lost by shift of thickness"),
    ],
)
def test_what_is_missed_is_named(changes: dict[str, float], what: str) -> None:
    assert _failing(_metrics(**changes)) == [what]


def test_each_label_must_beat_both_counts() -> None:
    metrics = _metrics()
    metrics["beside"]["area of the brain"]["slice"] = dict.fromkeys(LABELS, 0.7) | {"subdural": 0.88}
    assert _failing(metrics) == ["AUC of subdural by slice, low end of its interval, above the better count"]


def test_the_rnn_may_cost_single_slices_little() -> None:
    metrics = _metrics()
    metrics["beside"]["rnn, slices alone"] = {"slice": dict.fromkeys(LABELS, 0.88)}
    assert all("lost to the RNN on single slices" in what for what in _failing(metrics))
    assert len(_failing(metrics)) == 2


def test_what_was_not_measured_neither_holds_nor_fails() -> None:
    assert Target("nothing", None, 0.5).holds is None
    metrics = _metrics()
    del metrics["beside"]["cnn"]
    assert _failing(metrics) == []
    assert target_table(metrics).count("not measured") == 4
    assert "| AUC of any by slice | at least 0.95 | 0.960 | yes |" in target_table(metrics)


def test_a_calibration_error_stands_also_beyond_what_chance_leaves() -> None:
    metrics = _metrics()
    any_series = {**metrics["series"]["any"], "calibration_error": 0.1, "chance_calibration_error": 0.065}
    metrics["series"] = {**metrics["series"], "any": any_series}
    plain, beyond = (
        "calibration error of any by series",
        "calibration error of any by series, above the expected by chance",
    )
    assert _failing(metrics) == [plain, beyond]
    any_series["calibration_error"] = 0.09
    assert _failing(metrics) == [plain]


def test_a_calibration_error_stands_also_of_more_series() -> None:
    metrics = _metrics() | {"with_twins": {"series": 299, "calibration_error": 0.026}}
    assert _failing(metrics) == []
    assert (
        "| calibration error of any of 299 series, with the twins of shifted studies | at most 0.03 | 0.026 | yes |"
        in target_table(metrics)
    )
    metrics["with_twins"]["calibration_error"] = 0.031
    assert _failing(metrics) == ["calibration error of any of 299 series, with the twins of shifted studies"]
