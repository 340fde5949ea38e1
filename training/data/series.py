"""A study as the RNN takes it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.pictures import Pictures


@dataclass(frozen=True, slots=True)
class Series:
    """Features (n, d) and positions (n,), ascending; labels and whether they are known, (n, 6)."""

    features: NDArray[np.float32]
    position_mm: NDArray[np.float32]
    labels: NDArray[np.bool_]
    label_mask: NDArray[np.bool_]


def as_series(pictures: Pictures, features: NDArray[np.float32]) -> list[Series]:
    """The series of each study, from its pictures and their features (m, d)."""
    return [
        Series(features[part], pictures.position_mm[part], pictures.labels[part], pictures.label_mask[part])
        for part in pictures.series()
    ]
