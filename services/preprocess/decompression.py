"""Decompresses one frame with the decoder of its transfer syntax."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import numpy as np
from imagecodecs import dicomrle_decode, jpeg8_decode
from numpy.typing import NDArray
from openjpeg.utils import decode as decode_jpeg_2000
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from services.preprocess.errors import UnreadableFile
from services.preprocess.header import JPEG_2000, FrameFormat
from services.preprocess.lossless_jpeg import decode_lossless_jpeg

_PLUGINS: Final[dict[str, str]] = {
    **dict.fromkeys(JPEGTransferSyntaxes, "gdcm"),
    **dict.fromkeys(JPEGLSTransferSyntaxes, "pyjpegls"),
    RLELossless: "pydicom",
}
_UNSIGNED: Final = {1: np.uint8, 2: np.uint16}  # by bytes; CT has no more
_LOSSLESS_JPEG: Final = frozenset({JPEGLossless, JPEGLosslessSV1})
_GDCM_MAX_BITS: Final = 8  # of JPEG Extended

Decompress = Callable[[bytes, FrameFormat], NDArray[np.unsignedinteger]]


def decompress_in_process(codestream: bytes, frame_format: FrameFormat) -> NDArray[np.unsignedinteger]:
    """Decompress one frame in this process. A decoder may abort the process: gdcm does on some corrupt JPEGs.

    Returns
    -------
    (rows, columns) uint8 or uint16, the bits of the stored values

    Raises
    ------
    UnreadableFile
        the frame cannot be decoded
    """
    transfer_syntax = frame_format.transfer_syntax
    try:
        if transfer_syntax in JPEG_2000:  # called directly: pydicom needs one more package to reach openjpeg
            stored = decode_jpeg_2000(codestream)
        elif transfer_syntax == JPEGExtended12Bit and frame_format.bits_stored > _GDCM_MAX_BITS:
            stored = jpeg8_decode(codestream)
        elif transfer_syntax in _LOSSLESS_JPEG:
            stored = _lossless_jpeg(codestream, frame_format)
        elif transfer_syntax == RLELossless:
            stored = _run_lengths(codestream, frame_format)
        else:
            stored = _by_pydicom(codestream, frame_format)
        bits: NDArray[np.unsignedinteger] = stored.view(_UNSIGNED[stored.itemsize])
        return bits.reshape(frame_format.rows, frame_format.columns)
    except Exception:  # noqa: BLE001 - boundary: a decoder's message may quote the file
        raise UnreadableFile("corrupt_pixels") from None


def _lossless_jpeg(codestream: bytes, frame_format: FrameFormat) -> NDArray[np.integer]:
    """By libjpeg-turbo, or else gdcm, which reads all kinds, detects some corrupt codes and extends signs."""
    extended = frame_format.signed and frame_format.bits_stored < frame_format.bits_allocated
    with suppress(Exception):
        stored = None if extended else decode_lossless_jpeg(codestream, frame_format.bits_stored)
        if stored is not None and stored.itemsize * 8 == frame_format.bits_allocated:
            return stored
    return _by_pydicom(codestream, frame_format)


def _run_lengths(codestream: bytes, frame_format: FrameFormat) -> NDArray[np.integer]:
    """By imagecodecs, or else pydicom, which accepts more segments that end early or late."""
    with suppress(Exception):
        kind = f"<u{frame_format.bits_allocated // 8}"
        stored: NDArray[np.integer] = np.frombuffer(dicomrle_decode(codestream, kind), kind)
        return stored.reshape(frame_format.rows, frame_format.columns)
    return _by_pydicom(codestream, frame_format)


def _by_pydicom(codestream: bytes, frame_format: FrameFormat) -> NDArray[np.integer]:
    options: dict[str, Any] = {
        "rows": frame_format.rows,
        "columns": frame_format.columns,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": frame_format.bits_allocated,
        "bits_stored": frame_format.bits_stored,
        "pixel_representation": int(frame_format.signed),
        "pixel_keyword": "PixelData",
        "decoding_plugin": _PLUGINS[frame_format.transfer_syntax],
    }
    decoder = get_decoder(frame_format.transfer_syntax)
    stored, _ = decoder.as_array(encapsulate([codestream]), index=0, **options)
    return stored
