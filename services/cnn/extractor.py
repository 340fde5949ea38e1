"""The feature extractor's Protocol, and the arrays that go in and come out."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Slices = NDArray[np.uint8]
Outputs = dict[str, NDArray[np.float32]]


class FeatureExtractor(Protocol):
    """Computes the network: (n, 512, 512, 3) uint8 to its outputs by name, such as `features`, (n, d) float32."""

    def extract(self, slices: Slices) -> Outputs: ...


def batch_sizes(max_batch: int) -> tuple[int, ...]:
    """The fixed batch sizes, descending: `max_batch` and the powers of two below it."""
    powers = (1 << power for power in reversed(range(max_batch.bit_length())))
    return (max_batch, *(size for size in powers if size < max_batch))


def split_into_batches(slices: Slices, sizes: Sequence[int]) -> Iterator[Slices]:
    """Slices in batches of the given sizes, which descend to 1."""
    start = 0
    for size in sizes:
        while len(slices) - start >= size:
            yield slices[start : start + size]
            start += size


def split_outputs(outputs: Outputs, sizes: Sequence[int]) -> list[Outputs]:
    """Outputs in parts of `sizes` rows.

    Raises
    ------
    ValueError
        the outputs have another number of rows
    """
    if any(len(array) != sum(sizes) for array in outputs.values()):
        raise ValueError(f"the network must answer {sum(sizes)} rows, one per slice")
    parts = [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]
    return [{name: array[part] for name, array in outputs.items()} for part in parts]


def concatenate_outputs(parts: Sequence[Outputs]) -> Outputs:
    """Outputs concatenated along the slices; empty for no parts."""
    if len(parts) <= 1:
        return parts[0] if parts else {}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
