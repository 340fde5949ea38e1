"""The bundle of the repository: it is what its card says, and what it says is seen again on a few fresh phantoms."""

from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import tensorflow as tf

from services.common.card import Bundle, Card, open_bundle
from services.common.labels import LABELS, SUBTYPES
from services.common.operating_points import LEVELS, OperatingPoint
from services.common.predictions import PREDICTION_RULE
from services.common.recipe import DEFAULT_RECIPE
from training.data.pictures import BRIGHT_HU, count_inside, picture
from training.evaluate.metrics import auc
from training.evaluate.targets import targets
from training.evaluate.test_set import TEST
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions

FOLDER = Path("models/default")
OTHER_POINTS: Final[tuple[OperatingPoint, ...]] = ("sensitive", "specific")
FRESH = range(9_400_000, 9_400_006)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(FOLDER)


def test_the_card_says_first_that_phantoms_are_all(bundle: Bundle) -> None:
    assert bundle.card.description.startswith("Learnt from synthetic phantoms only")
    assert bundle.card.recipe == DEFAULT_RECIPE
    assert set(bundle.card.thresholds) == {"default", "sensitive", "specific"}
    assert bundle.card.limits_of_use


def test_the_stated_auc_beats_the_stated_baseline(bundle: Bundle) -> None:
    metrics = bundle.card.metrics
    for label in LABELS:
        low, _ = metrics["slice"][label]["auc_95_interval"]
        for counted in ("pixels from 50 to 100 HU", "area of the brain"):
            assert low > metrics["beside"][counted]["slice"][label]
    assert metrics["studies"] == len(TEST)


def test_the_file_itself_holds_ordered_points_and_how_each_was_chosen() -> None:
    card = Card.model_validate_json((FOLDER / "card.json").read_bytes())  # strict: an unordered card is no card
    assert set(card.thresholds["default"].slice.values()) == set(card.thresholds["default"].series.values()) == {0.5}
    for point in OTHER_POINTS:
        assert card.thresholds[point].basis
    assert card.prediction_rule == PREDICTION_RULE


def test_stated_sensitivities_fall_and_specificities_rise_over_the_points(bundle: Bundle) -> None:
    for level in LEVELS:
        for label in LABELS:
            every = [bundle.card.metrics[level][label][point] for point in ("sensitive", "default", "specific")]
            for loose, strict in pairwise(every):
                assert loose["sensitivity"] >= strict["sensitivity"]
                assert loose["specificity"] <= strict["specificity"]


def test_what_is_missed_of_what_it_was_to_reach_is_known(bundle: Bundle) -> None:
    missed = [target.name for target in targets(bundle.card.metrics) if target.holds is False]
    assert missed == ["calibration error of any by series"]


def test_the_network_maps_blood(bundle: Bundle) -> None:
    assert bundle.card.blood_grid == (32, 32)
    cnn = tf.saved_model.load(str(bundle.saved_model("cnn"))).signatures["serving_default"]
    study = make_study(draw_patient(9_400_105, StudyOptions(kinds=("intraparenchymal",))))
    index = int(study.masks.sum(axis=(1, 2, 3), dtype=np.int64).argmax())
    slices = picture(study.hu[index], study.scan.pixel_mm)[None]
    mapped = cnn(slices=tf.constant(slices))["blood"].numpy()[0, ..., SUBTYPES.index("intraparenchymal")]
    there = study.masks[index, ..., SUBTYPES.index("intraparenchymal")].reshape(32, 8, 32, 8).mean(axis=(1, 3)) > 128
    assert mapped[there].mean() > 5 * mapped[~there].mean()


def test_the_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 25_000_000


def test_fresh_phantoms_are_ranked_better_than_by_bright_pixels(bundle: Bundle) -> None:
    cnn, rnn = (
        tf.saved_model.load(str(bundle.folder / part / "1")).signatures["serving_default"] for part in ("cnn", "rnn")
    )
    scores, bright, truth = [], [], []
    for number, seed in enumerate(FRESH):
        patient = draw_patient(seed, StudyOptions(kinds=() if number % 2 else ("intraparenchymal", "subdural")))
        study = make_study(patient, range(0, len(patient.scan.position_mm), 3))
        slices = np.stack([picture(hu, study.scan.pixel_mm) for hu in study.hu])
        features = cnn(slices=tf.constant(slices))["features"]
        given = rnn(features=features, position_mm=tf.constant(study.position_mm))["slice_probabilities"].numpy()
        known = study.label_mask[:, 0]
        scores.append(given[known, 0])
        bright.append(np.array([count_inside(slice_, BRIGHT_HU) for slice_ in slices])[known])
        truth.append(study.labels[known, 0])
    true = np.concatenate(truth)
    assert auc(np.concatenate(scores), true) > auc(np.concatenate(bright), true)
