"""The slice spacings that networks learnt from, for the bundle's card."""

from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.slabs import median_spacing_mm

SHARE: Final = (1, 99)  # percentiles: what one series in a hundred has is not learnt


def learnt_spacing_mm(positions_mm: Iterable[Sequence[float] | NDArray[np.float32]]) -> tuple[float, float] | None:
    """The range that the card states: from the 1st to the 99th percentile of the series' median spacing.

    Rounded outwards to a tenth of a millimetre. None where no series has two positions.
    """
    found = [
        spacing for position_mm in positions_mm if (spacing := median_spacing_mm([float(at) for at in position_mm]))
    ]
    if not found:
        return None
    low, high = np.percentile(found, SHARE)
    return max(floor(round(10 * low, 6)), 1) / 10, ceil(round(10 * high, 6)) / 10
