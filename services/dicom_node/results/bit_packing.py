"""Packs the bits of frames one after another, without padding between them (PS3.5 8.1.1)."""

import numpy as np
from numpy.typing import NDArray


class BitPacker:
    """Collects frames of any size; bits of the last byte that are not yet complete wait for the next frame."""

    def __init__(self) -> None:
        self._packed = bytearray()
        self._rest = np.empty(0, np.bool_)

    @property
    def size(self) -> int:
        """Complete bytes so far."""
        return len(self._packed)

    def add(self, frame: NDArray[np.bool_]) -> None:
        """Add one frame, (rows, columns) bool."""
        bits = np.concatenate([self._rest, frame.ravel()]) if self._rest.size else frame.ravel()
        whole = bits.size // 8 * 8
        self._packed += np.packbits(bits[:whole], bitorder="little").tobytes()
        self._rest = bits[whole:]

    def packed(self) -> bytes:
        """All bits, padded with zeros to an even number of bytes."""
        packed = bytes(self._packed) + np.packbits(self._rest, bitorder="little").tobytes()
        return packed + b"\0" * (len(packed) % 2)
