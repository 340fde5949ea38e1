"""Batches for Keras' `fit`, by the number of the step: a resumed training sees the batches that it would have seen."""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import keras
import numpy as np

from training.data.batches import WHOLE, BatchSampler
from training.data.stream import Batch, Stream

PEEKED: Final = 4  # Keras reads the first batches twice, to learn their shapes


class ShardBatches(keras.utils.PyDataset):  # type: ignore[misc] # Keras has no types
    """The batches of a sampler from step `first` to step `last`, or some rows of each, read by threads."""

    def __init__(self, sampler: BatchSampler, first: int, last: int, readers: int, rows: slice = WHOLE) -> None:
        super().__init__(workers=readers, use_multiprocessing=False, max_queue_size=readers + 3)
        self._sampler, self._first, self._count, self._rows = sampler, first, last - first, rows

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Any, tuple[Any, ...]]:
        batch = self._sampler.read(self._first + index, self._rows)
        # Not bool: TensorFlow distributes numbers only over several devices.
        return batch.slices, (batch.labels.astype(np.uint8), batch.label_mask.astype(np.uint8))


class StreamBatches(keras.utils.PyDataset):  # type: ignore[misc] # Keras has no types
    """The batches of a stream of phantoms from step `first` to step `last`, in order."""

    def __init__(self, stream: Stream, first: int, last: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._batches: Iterator[Batch] = stream.batches(first)
        self._count, self._next = last - first, 0
        self._recent: deque[tuple[int, Batch]] = deque(maxlen=PEEKED)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Any, tuple[Any, ...]]:
        while self._next <= index:
            self._recent.append((self._next, next(self._batches)))
            self._next += 1
        small, *targets = dict(self._recent)[index]
        return small, tuple(targets)
