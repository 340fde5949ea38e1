import json
from pathlib import Path

import pytest

from services.common.card import Card, open_bundle
from services.common.labels import LABELS
from training.bundle.plots import draw


@pytest.fixture(scope="module")
def card() -> Card:
    return open_bundle(Path("models/default")).card


def test_the_plot_of_validation_needs_a_run(card: Card, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    lines = [{"step": step, "phantom_slices": 64 * step, **dict.fromkeys(LABELS, 0.5 + step / 20)} for step in (1, 2)]
    lines.insert(1, {"step": 1, "loss": 0.3})  # a line of the log without a validation
    (run / "cnn.jsonl").write_text("\n".join(map(json.dumps, lines)))
    draw(card, run, tmp_path / "plots")
    assert "learning.svg" in {path.name for path in (tmp_path / "plots").iterdir()}
    draw(card, None, tmp_path / "without")
    assert "learning.svg" not in {path.name for path in (tmp_path / "without").iterdir()}


def test_a_label_without_positives_has_no_curve_and_no_bar(card: Card, tmp_path: Path) -> None:
    empty: dict[str, list[float]] = {"roc": [], "precision_recall": [], "reliability": []}
    level = {
        label: {"auc": None, "auc_95_interval": [None, None]} if label == "epidural" else card.metrics["slice"][label]
        for label in LABELS
    }
    curves = {each: card.metrics["curves"][each] | {"epidural": empty} for each in ("slice", "series")}
    metrics = card.metrics | {"slice": level, "curves": curves, "shifted": {}, "beside": {}}
    draw(card.model_copy(update={"metrics": metrics}), None, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"auc.svg", "curves.svg"}


def test_the_same_card_gives_the_same_plots(card: Card, tmp_path: Path) -> None:
    for name in ("one", "other"):
        draw(card, None, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()
