"""The slice spacing of the training data, for the bundle's card."""

from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.slabs import median_spacing_mm

# Percentiles of the series' spacings. An RNN learns little from spacings of one series in twenty: `any` of phantoms
# drawn at 2.5 mm moved by up to .47 (docs/explanation/thin-slices.md). Nothing can be averaged in thicker slices.
SHARE: Final = (5, 99)
_STEPS_A_MM: Final = 20


def learnt_spacing_mm(positions_mm: Iterable[Sequence[float] | NDArray[np.float32]]) -> tuple[float, float] | None:
    """The range that the card states: from the 5th to the 99th percentile of the series' median spacing.

    Rounded outwards to a twentieth of a millimetre. None where no series has two positions.
    """
    found = [
        spacing for position_mm in positions_mm if (spacing := median_spacing_mm([float(at) for at in position_mm]))
    ]
    if not found:
        return None
    low, high = np.percentile(found, SHARE)
    lowest, highest = floor(round(_STEPS_A_MM * low, 6)), ceil(round(_STEPS_A_MM * high, 6))
    return max(lowest, 1) / _STEPS_A_MM, highest / _STEPS_A_MM
