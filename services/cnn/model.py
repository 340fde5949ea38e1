"""The bundle's CNN as a feature extractor."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.common.saved_model import load_signature


class SavedModelExtractor:
    """One compiled graph call for each batch."""

    def __init__(self, folder: Path) -> None:
        self._call = load_signature(folder)

    def extract(self, slices: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of slices.

        Parameters
        ----------
        slices : (n, 512, 512, 3) uint8, as the recipe makes them; n from 1 up

        Returns
        -------
        (n, d) float32
        """
        features: NDArray[np.float32] = self._call(slices=slices)["features"]
        return features
