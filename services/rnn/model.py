"""The bundle's RNN as a scorer of series."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.common.saved_model import load_signature


class SavedModelScorer:
    """One compiled graph call per series."""

    def __init__(self, folder: Path) -> None:
        self._call = load_signature(folder)

    def score(
        self, features: NDArray[np.float32], position_mm: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities of one series.

        Parameters
        ----------
        features : (n, d) float32, slices in anatomical order; n is at least 1
        position_mm : (n,) float32, along the slice normal, ascending towards the head

        Returns
        -------
        (n, 6) float32 and (6,) float32, in the order of `LABELS`
        """
        answer = self._call(features=features, position_mm=position_mm)
        return answer["slice_probabilities"], answer["series_probabilities"]
