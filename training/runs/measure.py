"""Measures the networks of a run on the held-out fold and writes the page about it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.common.card import Card
from services.common.operating_points import Points
from training.bundle.card import page
from training.bundle.plots import draw
from training.data.series import Series
from training.evaluate.metrics import ALONE
from training.evaluate.predictions import (
    Answer,
    alone,
    answer,
    beside,
    lengths_of,
    levels,
    middle_slices,
    predict_by_cnn,
    usual_figures,
)
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
    others: dict[str, Callable[[Sequence[Series]], list[Answer]]] = {
        "cnn": lambda series: predict_by_cnn(networks.cnn.last, series),
        ALONE: lambda series: alone(networks.rnn, series),
    }
    lengths = lengths_of(studies)
    middle = middle_slices(lengths)
    figures = usual_figures(*levels(studies, answer(networks.rnn, studies), patients), lengths, points)
    compared = {name: beside(*levels(studies, ask(studies)), middle) for name, ask in others.items()}
    return {"data": data, "patients": int(patients.max()) + 1, **figures, "beside": compared, "shifted": {}}


def write_page(card: Card, folder: Path) -> None:
    """Write `metrics.json`, `card.md` and its pictures in `card/`."""
    (folder / "metrics.json").write_text(json.dumps(card.metrics, indent=1) + "\n")
    draw(card, None, folder / "card")
    (folder / "card.md").write_text(page(card, folder / "card"))
