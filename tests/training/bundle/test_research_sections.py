import json
from pathlib import Path
from typing import Any

from services.common.labels import LABELS
from training.bundle.research_sections import ablation_section, painted_section
from training.evaluate.metrics import UNCHANGED

KIND: dict[str, Any] = {
    "series": 2,
    "slices": 9,
    "any_auc": 0.91,
    "any_auc_alone": 0.92,
    "own_auc": None,
    "slices_called": 0.5,
    "series_called": 1.0,
    "series_above_clean": 0.75,
}
PLAIN: dict[str, Any] = {
    "slices": 30,
    "slices_called": 1,
    "median_any": 0.02,
    "series_any": 0.1,
    "series_called": False,
}
WITH: dict[str, Any] = {"any_auc": 0.9, "painted_called": 0.8, "painted_above_clean": 0.7}


def _painted(folder: Path, **more: Any) -> str:
    path = folder / "painted.json"
    path.write_text(json.dumps({"without": PLAIN, "kinds": {"lens": KIND}, **more}))
    return "\n\n".join(painted_section(path))


def _rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


def test_a_study_that_was_not_run_has_no_section(tmp_path: Path) -> None:
    assert painted_section(tmp_path / "none.json") == ablation_section(tmp_path / "none.json") == []


def test_every_kind_of_painted_haemorrhage_has_a_row(tmp_path: Path) -> None:
    rows = _rows(_painted(tmp_path))
    assert rows[2:] == ["| lens | 2 | 9 | 0.910 | 0.920 | - | 0.500 | 1.000 | 0.750 |"]


def test_the_text_says_whether_the_unpainted_series_is_called(tmp_path: Path) -> None:
    assert "has 0.100 and is not called" in _painted(tmp_path)
    assert "has 0.100 and is called" in _painted(tmp_path, without=PLAIN | {"series_called": True})


def test_scanner_variants_start_with_the_unchanged_series(tmp_path: Path) -> None:
    rows = _rows(_painted(tmp_path, **{"with": WITH}, scanner_variants={"noise": PLAIN | WITH | {"slices_called": 4}}))
    assert rows[-2] == f"| {UNCHANGED} | 1 | 0.020 | 0.100 | 0.900 | 0.800 | 0.700 |"
    assert rows[-1].startswith("| noise | 4 |")


def test_small_haemorrhages_add_their_table_and_their_column(tmp_path: Path) -> None:
    small = {"kinds": {"dot": KIND}, "with": {"any_auc": 0.61}, "scanner_variants": {"noise": {"any_auc": 0.55}}}
    text = _painted(tmp_path, **{"with": WITH}, scanner_variants={"noise": PLAIN | WITH}, small=small)
    assert "| dot | 2 | 9 |" in text
    assert [row.split("|")[-2].strip() for row in _rows(text)[-4:]] == [
        *("small ones: AUC of any", "---", "0.610", "0.550"),
    ]


def test_the_ablation_study_lists_every_label_of_every_training(tmp_path: Path) -> None:
    path = tmp_path / "ablation.json"
    aucs = {label: 0.8 + at / 100 for at, label in enumerate(LABELS)}
    trained = {"all": {"slice_auc": aucs, "series_auc": {"any": 0.95}}}
    path.write_text(json.dumps({"cnn": trained, "steps": 7, "batch": 8, "phantom_slices": 56}))
    text = "\n\n".join(ablation_section(path))
    assert _rows(text)[2] == "| all | 0.800 | 0.810 | 0.820 | 0.830 | 0.840 | 0.850 | 0.950 |"
    assert "7 steps of 8 slices, with 56 different slices" in text
