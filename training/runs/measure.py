"""What a run's networks say of the held-out fold, and the page about it."""

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
    """The card's metrics: the bundle's answers, and beside them the CNN's alone and those to single slices."""
    others: dict[str, Callable[[Sequence[Series]], list[Answer]]] = {
        "cnn": lambda every: predict_by_cnn(networks.cnn.last, every),
        ALONE: lambda every: alone(networks.rnn, every),
    }
    lengths = lengths_of(studies)
    middle = middle_slices(lengths)
    figures = usual_figures(*levels(studies, answer(networks.rnn, studies), patients), lengths, points)
    compared = {name: beside(*levels(studies, ask(studies)), middle) for name, ask in others.items()}
    return {"data": data, "patients": int(patients.max()) + 1, **figures, "beside": compared, "shifted": {}}


def write_page(card: Card, folder: Path) -> None:
    """`metrics.json`, `card.md` and its pictures in `card/`."""
    (folder / "metrics.json").write_text(json.dumps(card.metrics, indent=1) + "\n")
    draw(card, None, folder / "card")
    (folder / "card.md").write_text(page(card, folder / "card"))
