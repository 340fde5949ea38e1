"""Feature vectors of small pictures."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.networks.cnn import Cnn

Extractor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def extractor(cnn: Cnn, *, batch: int = 64) -> Extractor:
    """What gives feature vectors (m, d) of small pictures (m, 256, 256, 2)."""

    def extract(small: NDArray[np.uint8]) -> NDArray[np.float32]:
        starts = range(0, len(small), batch)
        parts = [cnn.trunk.predict_on_batch(small[start : start + batch])[0] for start in starts]
        return np.concatenate(parts).astype(np.float32)

    return extract
