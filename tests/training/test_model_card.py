from pathlib import Path

import pytest

from services.common.card import open_bundle
from services.common.labels import LABELS
from training.model_card import page
from training.plots import draw


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card") / "default"
    draw(open_bundle(Path("models/default")).card, None, folder)
    return folder


def test_the_plots_of_a_card_are_drawn(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"auc.svg", "curves.svg", "shifted.svg"}
    assert all(path.read_text().startswith("<?xml") for path in folder.iterdir())


def test_the_page_says_what_the_card_says(folder: Path) -> None:
    card = open_bundle(Path("models/default")).card
    said = page(card, folder)
    assert said.startswith("# The bundle `default`\n\nLearnt from synthetic phantoms only")
    assert all(limit in said for limit in card.limits_of_use)
    for level in ("slice", "series"):
        for label in LABELS:
            assert f"{card.metrics[level][label]['auc']:.3f} (" in said
    assert all(name in said for name in card.metrics["shifted"])
    assert "default/auc.svg" in said
    assert "learning.svg" not in said


def test_the_page_in_the_repository_is_this_cards() -> None:
    assert Path("docs/default.md").read_text() == page(open_bundle(Path("models/default")).card, Path("docs/default"))
