"""The source project's preprocessing with its known faults, for comparison only."""

from io import BytesIO
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image

WINDOWS: Final = ((600, 2800), (80, 200), (40, 380))  # centre and width: bone, subdural, soft tissue
SIDE: Final = 512


def picture(file: bytes) -> NDArray[np.uint8]:
    """(512, 512, 3) uint8: read the file, apply three windows in floating point, stack, resize."""
    data = pydicom.dcmread(BytesIO(file))
    stacked = np.stack([_windowed(data, centre, width) for centre, width in WINDOWS], axis=-1)
    resized = Image.fromarray((stacked * 255).astype(np.uint8)).resize((SIDE, SIDE))
    return np.asarray(resized)


def _windowed(data: Any, centre: int, width: int) -> NDArray[np.float64]:
    """Clip to a window, then scale by the slice's own range, so that the window varies between slices."""
    hu = data.pixel_array * float(data.RescaleSlope) + float(data.RescaleIntercept)
    clipped = np.clip(hu, centre - width / 2, centre + width / 2)
    scaled: NDArray[np.float64] = (clipped - clipped.min()) / ((clipped.max() - clipped.min()) or 1)
    return scaled
