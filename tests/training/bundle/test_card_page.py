import json
from pathlib import Path
from typing import Any

import pytest

from services.common.card import open_bundle
from services.common.labels import LABELS
from training.bundle.card_page import card_page
from training.bundle.plots import draw


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
    said = card_page(card, folder)
    assert said.startswith("# The bundle `default`\n\nLearnt from synthetic phantoms only")
    assert all(limit in said for limit in card.limits_of_use)
    for level in ("slice", "series"):
        for label in LABELS:
            assert f"{card.metrics[level][label]['auc']:.3f} (" in said
    assert all(name in said for name in card.metrics["shifted"])
    assert "default/auc.svg" in said
    assert "learning.svg" not in said


def test_the_page_in_the_repository_is_this_cards() -> None:
    assert Path("docs/explanation/default.md").read_text() == card_page(
        open_bundle(Path("models/default")).card, Path("docs/explanation/default")
    )


def test_a_page_tells_of_an_ablation_that_lies_beside_it(tmp_path: Path) -> None:
    figures = {"slice_auc": dict.fromkeys(LABELS, 0.875), "series_auc": {"any": 0.75}}
    words = {"steps": 5, "batch": 8, "phantom_slices": 123, "cnn": {"without masks": figures}}
    (tmp_path / "ablation.json").write_text(json.dumps(words))
    (tmp_path / "ablation.svg").touch()
    said = card_page(open_bundle(Path("models/default")).card, tmp_path)
    assert f"| without masks |{' 0.875 |' * len(LABELS)} 0.750 |" in said
    assert "after 5 steps of 8 slices, with 123 different slices" in said
    assert f"{tmp_path.name}/ablation.svg" in said


def test_a_page_tells_of_blood_put_into_a_real_series(tmp_path: Path) -> None:
    names = ("any_auc", "any_auc_alone", "own_auc", "slices_called", "series_called", "series_above_clean")
    without = {"slices": 28, "median_any": 0.125, "slices_called": 1, "series_any": 0.375, "series_called": False}
    kinds = {"subdural": {"series": 20, "slices": 99, **dict.fromkeys(names, 0.625)}}
    painted = {"any_auc": 0.875, "painted_called": 0.5, "painted_above_clean": 1.0}
    noisier = {**without, **painted, "median_any": 0.25, "series_any": 0.75, "slices_called": 3, "any_auc": 0.625}
    smaller = {
        "kinds": {"epidural": {"series": 19, "slices": 33, **dict.fromkeys(names, 0.375)}},
        "with": {"any_auc": 0.8125},
        "scanner_variants": {"noisier": {"any_auc": 0.5625}},
    }
    found = {
        "without": without,
        "with": painted,
        "scanner_variants": {"noisier": noisier},
        "kinds": kinds,
        "small": smaller,
    }
    (tmp_path / "implanted.json").write_text(json.dumps(found))
    said = card_page(open_bundle(Path("models/default")).card, tmp_path)
    assert f"| subdural | 20 | 99 |{' 0.625 |' * len(names)}" in said
    assert "1 of its 28 slices are called; their median of any is 0.125" in said
    assert "The series has 0.375 and is not called" in said
    assert "| as it is | 1 | 0.125 | 0.375 | 0.875 | 0.500 | 1.000 | 0.812 |" in said
    assert "| noisier | 3 | 0.250 | 0.750 | 0.625 | 0.500 | 1.000 | 0.562 |" in said
    assert f"| epidural | 19 | 33 |{' 0.375 |' * len(names)}" in said
    del found["small"]
    (tmp_path / "implanted.json").write_text(json.dumps(found))
    older = card_page(open_bundle(Path("models/default")).card, tmp_path)
    assert "| noisier | 3 | 0.250 | 0.750 | 0.625 | 0.500 | 1.000 |\n" in older


def _page(training: dict[str, Any]) -> str:
    card = open_bundle(Path("models/default")).card
    return card_page(card.model_copy(update={"training": {**card.training, **training}}), Path("docs/none"))


def test_one_table_lists_the_training_and_the_ancestors() -> None:
    entry = {"command": "train old", "backbone": "small", "cnn_slices": {"seen": 9, "made": 8}, "minutes": 59.6}
    older = {"name": "older", "card_sha256": "a" * 64, "used_by": None, "initial_weights": True, "soup_weight": 0.35}
    oldest = {"name": "oldest", "card_sha256": "b" * 64, "used_by": "a" * 64, "initial_weights": False}
    page = _page({"ancestors": [older | entry, oldest | {"soup_weight": 0.2} | entry], "cnn_minutes": 8.4})
    assert page.count("| this bundle | - |") == 1
    row = next(line for line in page.splitlines() if line.startswith("| `older aaaaaaaa` |"))
    assert row.split(" | ")[1:] == [
        "initial weights and 35% of the CNN's weights of this bundle",
        "`train old`",
        "small",
        "9 (8)",
        "-",
        "60 |",
    ]
    assert "| `oldest bbbbbbbb` | 20% of the CNN's weights of `aaaaaaaa` |" in page
    assert "(8) |\n" in page, "minutes of the CNN"


def test_a_run_of_shards_states_series_and_hours() -> None:
    card = open_bundle(Path("models/default")).card
    training = {"command": "train", "backbone": "resnet", "series": {"train": 12}, "slices": 340, "hours": 1.5}
    page = card_page(card.model_copy(update={"training": training}), Path("docs/none"))
    assert "| this bundle | - | `train` | resnet | - (340) | 12 | 90 |" in page


def test_metrics_come_first_then_limits_then_training() -> None:
    page = _page({})
    places = [page.index(title) for title in ("## Metrics", "## Limits of use", "## Training")]
    assert places == sorted(places)


def test_a_page_tells_what_a_shift_costs_by_itself_where_that_was_measured() -> None:
    card = open_bundle(Path("models/default")).card
    shifted: dict[str, Any] = {
        name: {**found, "any_slice_auc_lost": 0.125, "any_slice_auc_lost_95_interval": [0.0625, None]}
        for name, found in card.metrics["shifted"].items()
    }
    said = card_page(
        card.model_copy(update={"metrics": card.metrics | {"shifted": shifted}}), Path("docs/explanation/default")
    )
    assert "below the same studies' without the shift" in said
    assert said.count("| 0.125 (0.062 to -) |") == len(shifted)
    for found in shifted.values():
        del found["any_slice_auc_lost"]
    older = card_page(
        card.model_copy(update={"metrics": card.metrics | {"shifted": shifted}}), Path("docs/explanation/default")
    )
    assert "below the same studies' without the shift" not in older
    assert all(f"| {name} | " in older for name in shifted)


@pytest.mark.parametrize(
    ("alone", "words"),
    [(False, "600, as drawn and by 3 augmented scanners"), (True, "600, by 3 augmented scanners")],
)
def test_the_page_states_the_augmented_scanners(alone: bool, words: str) -> None:  # noqa: FBT001 - a case
    assert words in _page({"rnn": {"other_scanners": {"count": 3, "alone": alone}}})


def test_labels_without_rows_are_named() -> None:
    card = open_bundle(Path("models/default")).card
    metrics = card.metrics | {"labels_without_rows": {"slice": ["epidural", "subdural"], "series": []}}
    page = card_page(card.model_copy(update={"metrics": metrics}), Path("docs/none"))
    assert "no metrics, for epidural, subdural (by slice)." in page
