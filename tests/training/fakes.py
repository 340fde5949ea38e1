"""Shards that need no archive: small series whose blood is a bright square."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.common.recipe import DEFAULT_RECIPE
from training.networks.classifier import ClassifierShape
from training.options.cnn import CnnOptions

SHAPE = ClassifierShape(backbone="vgg16", side=32)
OPTIONS = CnnOptions(epochs=1, batch=4, rate=1e-3, ema=0.9, validations_an_epoch=2, readers=2)


@dataclass(frozen=True, eq=False)
class FakeEntry:
    patient_id: str
    fold: int
    split: str
    files: tuple[str, ...]
    position_mm: NDArray[np.float32]
    labels: NDArray[np.bool_]
    label_mask: NDArray[np.bool_]


class FakeShards:
    digest = "fake"
    recipe = DEFAULT_RECIPE

    def __init__(self, series: int = 6, slices: int = 4) -> None:
        self.entries = tuple(_entry(number, slices) for number in range(series))

    def slices(self, entry: Any, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        wanted = range(len(entry.files)) if indices is None else indices
        pixels = np.full((len(wanted), 512, 512, 3), 90, np.uint8)
        for picture, index in zip(pixels, wanted, strict=True):
            picture[200:300, 200:300] = 200 if entry.labels[index, 0] else 90
        return pixels


def _entry(number: int, slices: int) -> FakeEntry:
    labels = np.zeros((slices, 6), bool)
    labels[::2, [0, 1 + number % 5]] = number % 2 == 0
    return FakeEntry(
        patient_id=f"p{number}",
        fold=number % 3,
        split="train",
        files=tuple(f"stage_2_train/ID_{number}_{index}.dcm" for index in range(slices)),
        position_mm=np.arange(slices, dtype=np.float32) * 5,
        labels=labels,
        label_mask=np.ones((slices, 6), bool),
    )
