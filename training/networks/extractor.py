"""Feature vectors of small pictures."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.networks.cnn import Cnn

Extractor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def extractor(cnn: Cnn, *, batch: int = 64) -> Extractor:
    """The extractor of feature vectors (m, d) from small pictures (m, 256, 256, 2)."""

    def extract(small: NDArray[np.uint8]) -> NDArray[np.float32]:
        return in_chunks(lambda part: cnn.trunk.predict_on_batch(part)[0], small, batch).astype(np.float32)

    return extract


def in_chunks(call: Callable[[NDArray[Any]], Any], rows: NDArray[Any], size: int) -> NDArray[Any]:
    """Results of calls with at most `size` rows each, concatenated."""
    return np.concatenate([np.asarray(call(rows[start : start + size])) for start in range(0, len(rows), size)])
