"""The bundle's CNN as a feature extractor."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.common.saved_model import load_signature


class SavedModelExtractor:
    """One compiled graph call for each batch."""

    def __init__(self, folder: Path) -> None:
        self._call = load_signature(folder)

    def extract(self, slices: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """All that the network says of slices.

        Parameters
        ----------
        slices : (n, 512, 512, 3) uint8, as the recipe makes them; n from 1 up

        Returns
        -------
        features : (n, d) float32
        blood : (n, rows, columns, 5) float32, where the bundle gives it: the share of each subtype's blood in each cell
            of a grid over the picture
        """
        return self._call(slices=slices)
