"""The price of a frame in slices: how long it takes to decode, against a 512 x 512 slice in JPEG 2000.

It is known from the header, before anything is decoded. Weights are CPU times for noise, the slowest content, measured
on one core: 39 ms for a 512 x 512 slice in JPEG 2000.
"""

from math import ceil
from typing import Final

from pydicom.uid import JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, RLELossless

from services.preprocess.header import JPEG_2000, FrameFormat

_PIXELS: Final = 512 * 512
_NATIVE_WEIGHT: Final = 0.04
_WEIGHTS: Final[dict[str, float]] = {
    **dict.fromkeys(JPEG_2000, 1.0),  # High Throughput too: its decoder takes any JPEG 2000
    **dict.fromkeys(JPEGLSTransferSyntaxes, 0.2),
    **dict.fromkeys(JPEGTransferSyntaxes, 0.2),
    RLELossless: 0.08,
}
_BASE_CPU_S: Final = 0.5
_BASE_TIMEOUT_S: Final = 8.0
_SECONDS_A_SLICE: Final = 0.2  # five times the price, for a slower CPU


def frame_cost(frame_format: FrameFormat) -> int:
    """The price of one frame, at least 1: the cost of an ordinary slice in all stages."""
    weight = _WEIGHTS.get(frame_format.transfer_syntax, _NATIVE_WEIGHT)
    return max(1, ceil(frame_format.rows * frame_format.columns / _PIXELS * weight))


def decoding_cpu_s(frame_format: FrameFormat) -> float:
    """CPU seconds until a decoder ends itself: a crafted frame may take any time. A busy machine changes nothing."""
    return _BASE_CPU_S + _SECONDS_A_SLICE * frame_cost(frame_format)


def decoding_timeout_s(frame_format: FrameFormat) -> float:
    """Seconds until the decoder of a frame is killed, where it waits or the machine is too busy."""
    return _BASE_TIMEOUT_S + _SECONDS_A_SLICE * frame_cost(frame_format)
