"""Measures the networks of a run on the held-out fold and writes the page about it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.common.card import Card
from services.common.operating_points import Points
from training.bundle.card_page import card_page
from training.bundle.plots import draw
from training.data.series import Series
from training.evaluate.card_metrics import beside, level_metrics
from training.evaluate.predictions import lengths_of, predictors, score_levels
from training.runs.trained import Trained


def measure_networks(
    networks: Trained, studies: Sequence[Series], points: Points, patients: NDArray[np.int64], data: str
) -> dict[str, Any]:
    """Return the card's metrics of the RNN, of the CNN alone and of the RNN on single slices.

    Parameters
    ----------
    patients : (studies,), numbers of the patients; intervals resample whole patients
    data : the data in words
    """
    measured = predictors(networks.cnn.last, networks.rnn)
    levels = score_levels(studies, measured.bundle(studies), patients)
    return {
        "data": data,
        "patients": int(patients.max()) + 1,
        **level_metrics(*levels, lengths_of(studies), points),
        "beside": beside(studies, {name: other(studies) for name, other in measured.others.items()}),
        "shifted": {},
    }


def write_page(card: Card, folder: Path) -> None:
    """Write `metrics.json`, `card.md` and its pictures in `card/`."""
    (folder / "metrics.json").write_text(json.dumps(card.metrics, indent=1) + "\n")
    draw(card, None, folder / "card")
    (folder / "card.md").write_text(card_page(card, folder / "card"))
