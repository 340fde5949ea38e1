from datetime import datetime

import numpy as np

from services.common.labels import LABELS
from services.common.operating_points import Thresholds
from services.common.recipe import DEFAULT_RECIPE
from training.bundle.build_card import build_card, library_versions, utc_now
from training.configs.default import CONFIG


def test_a_card_takes_its_texts_from_the_configuration() -> None:
    even = Thresholds(slice=dict.fromkeys(LABELS, 0.5), series=dict.fromkeys(LABELS, 0.5))
    card = build_card(
        CONFIG.card,
        feature_size=8,
        blood_grid=None,
        files={},
        metrics={},
        temperatures={},
        thresholds={"default": even},
        training={"seed": 3},
    )
    assert (card.name, card.licence) == ("default", "Apache-2.0")
    assert card.limits_of_use == CONFIG.card.limits_of_use
    assert card.recipe == DEFAULT_RECIPE
    assert card.training == {"seed": 3}
    assert card.versions == library_versions()


def test_the_time_is_utc_to_the_second() -> None:
    assert datetime.fromisoformat(utc_now()).microsecond == 0
    assert utc_now().endswith("Z")


def test_versions_are_those_of_the_installed_libraries() -> None:
    assert library_versions()["numpy"] == np.__version__
