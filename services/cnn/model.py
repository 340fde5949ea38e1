"""The bundle's CNN as a feature extractor."""

from pathlib import Path
from typing import Final

from services.cnn.extractor import Outputs, Slices
from services.common.engines import Signature
from services.common.openvino_model import Precision, load_openvino

MOST_SLICES: Final = 2  # that one core gets at a time from OpenVINO: activations fit its cache


class GraphExtractor:
    """A network on any engine."""

    def __init__(self, call: Signature) -> None:
        self._call = call

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


class SavedModelExtractor(GraphExtractor):
    """A SavedModel on TensorFlow: one compiled graph call per batch."""

    def __init__(self, folder: Path) -> None:
        from services.common.saved_model import load_frozen  # noqa: PLC0415 - loads TensorFlow

        super().__init__(load_frozen(folder))


class OpenVinoExtractor(GraphExtractor):
    """A SavedModel on OpenVINO, in float32 as TensorFlow computes it, or in bfloat16."""

    def __init__(self, folder: Path, precision: Precision = "f32") -> None:
        super().__init__(load_openvino(folder, most_rows=MOST_SLICES, precision=precision))
