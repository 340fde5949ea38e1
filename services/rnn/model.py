"""The bundle's RNN as a scorer of series."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.common.engines import Signature
from services.common.openvino_model import load_openvino


class GraphScorer:
    """A network on any engine: one call per series."""

    def __init__(self, call: Signature) -> None:
        self._call = call

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


class SavedModelScorer(GraphScorer):
    """A SavedModel on TensorFlow."""

    def __init__(self, folder: Path) -> None:
        from services.common.saved_model import load_signature  # noqa: PLC0415 - loads TensorFlow

        super().__init__(load_signature(folder))


class OpenVinoScorer(GraphScorer):
    """A SavedModel on OpenVINO."""

    def __init__(self, folder: Path) -> None:
        super().__init__(load_openvino(folder))
