"""The bundle's CNN as a feature extractor."""

from pathlib import Path

from services.cnn.extractor import Outputs, Slices
from services.common.saved_model import load_signature


class SavedModelExtractor:
    """One compiled graph call per batch."""

    def __init__(self, folder: Path) -> None:
        self._call = load_signature(folder)

    def extract(self, slices: Slices) -> Outputs:
        """All outputs of the network.

        Parameters
        ----------
        slices : (n, 512, 512, 3) uint8, made by the recipe; n is at least 1

        Returns
        -------
        features : (n, d) float32
        blood : (n, rows, columns, 5) float32, where the bundle has it: the share of each subtype's blood in each cell
            of a grid over the picture
        """
        return self._call(slices=slices)
