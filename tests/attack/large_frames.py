"""Files that are small to send, and costly to decode."""

from typing import Any

import numpy as np
from openjpeg.utils import encode_array
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless

from tests.preprocess.dicom_files import VIEW_MM, encapsulated, enhanced, functional_group


def blank_frames(frames: int, side: int, **changes: Any) -> bytes:
    """An enhanced CT of blank JPEG 2000 frames: a few hundred bytes each, and costly to decode where they are large."""
    codestream = encode_array(np.zeros((side, side), "<u2"), bits_stored=12)
    found = enhanced(frames, **changes)
    found.Rows = found.Columns = side
    measures: Dataset = found.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.PixelSpacing = [VIEW_MM / side] * 2
    for frame in range(frames):
        rescale: Dataset = functional_group(found, frame).PixelValueTransformationSequence[0]
        rescale.RescaleIntercept, rescale.RescaleSlope = -1024, 1
    return encapsulated(found, JPEG2000Lossless, [codestream] * frames)
