"""Files that imagecodecs writes: libjpeg-turbo, CharLS, OpenJPEG and OpenJPH, and none of the service's own decoders.

The library also reads files that only one of the service's decoders reads.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import (
    HTJ2K,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from tests.preprocess.dicom_files import encapsulated

Encode = Callable[[NDArray[Any]], bytes | bytearray]

# All seven predictors of JPEG are process 14; the first is a transfer syntax of its own.
LOSSLESS: Final[tuple[tuple[UID, str, Encode], ...]] = (
    (JPEGLosslessSV1, "predictor 1", partial(imagecodecs.jpeg8_encode, lossless=True, predictor=1)),
    *(
        (JPEGLossless, f"predictor {number}", partial(imagecodecs.jpeg8_encode, lossless=True, predictor=number))
        for number in range(2, 8)
    ),
    (JPEGLSLossless, "CharLS", imagecodecs.jpegls_encode),
    (JPEGLSNearLossless, "CharLS without loss", imagecodecs.jpegls_encode),
    (JPEG2000Lossless, "OpenJPEG", partial(imagecodecs.jpeg2k_encode, codecformat="j2k", reversible=True, level=0)),
    (HTJ2KLossless, "OpenJPH", partial(imagecodecs.htj2k_encode, reversible=True)),
    (HTJ2KLosslessRPCL, "OpenJPH", partial(imagecodecs.htj2k_encode, reversible=True)),
    (HTJ2K, "OpenJPH without loss", partial(imagecodecs.htj2k_encode, reversible=True)),
)
TWELVE_BITS: Final[Encode] = partial(imagecodecs.jpeg8_encode, level=95, bitspersample=12)
READERS: Final[Mapping[str, Callable[[bytes], NDArray[Any]]]] = {
    **dict.fromkeys((JPEGLossless, JPEGLosslessSV1, JPEGExtended12Bit, JPEGBaseline8Bit), imagecodecs.jpeg8_decode),
    **dict.fromkeys((HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL), imagecodecs.htj2k_decode),
}


def imagecodecs_ct(found: Dataset, syntax: UID, encode: Encode) -> bytes:
    """The file of a dataset whose pixels imagecodecs compresses."""
    kind = f"<{'i' if found.PixelRepresentation else 'u'}{found.BitsAllocated // 8}"
    stored = np.frombuffer(found.PixelData, kind).reshape(found.Rows, found.Columns)
    return encapsulated(found, syntax, [bytes(encode(stored))])


def read_by_imagecodecs(found: Dataset) -> NDArray[Any]:
    """(rows, columns) stored values of the first frame."""
    syntax = found.file_meta.TransferSyntaxUID
    return READERS[syntax](get_frame(found.PixelData, 0, number_of_frames=int(found.get("NumberOfFrames", 1))))
