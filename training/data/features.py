"""Feature vectors of all slices of shards, in one file of float16; an interrupted run resumes at its last series."""

import json
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.batches import Source
from training.data.series import Series
from training.io.errors import TrainingError, translate_write_errors
from training.io.files import write_json
from training.io.progress import progress_bar
from training.networks.cnn import Cnn
from training.networks.extractor import in_chunks
from training.networks.feature_engine import feature_engine

LOG = logging.getLogger(__name__)
CHUNK: Final = 32  # slices of one call
SAVED_SERIES: Final = 50


@dataclass(frozen=True, slots=True)
class Features:
    """Features (m, d) float16 of all slices of the entries, and the first row of each entry, (k,)."""

    values: NDArray[np.float16]
    entries: Sequence[Any]
    starts: NDArray[np.int64]

    def series(self, wanted: Sequence[int]) -> list[Series]:
        """Series for the RNN, by the numbers of their entries."""
        return [self._one(number) for number in wanted]

    def _one(self, number: int) -> Series:
        entry, start = self.entries[number], int(self.starts[number])
        values = self.values[start : start + len(entry.labels)].astype(np.float32)
        return Series(values, np.asarray(entry.position_mm, np.float32), entry.labels, entry.label_mask)


def open_features(path: Path, entries: Sequence[Any]) -> Features:
    """Open the file of `write_features`.

    Raises
    ------
    TrainingError
        the file holds another number of slices
    """
    values = np.load(path, mmap_mode="r")
    starts = starts_of(entries)
    if len(values) != starts[-1]:
        raise TrainingError(
            f"{path} does not hold the features of these shards: run `python -m training features` again."
        )
    return Features(values, entries, starts[:-1])


def write_features(
    cnn: Cnn, source: Source, entries: Sequence[Any], path: Path, readers: int, *, save_every: int = SAVED_SERIES
) -> float:
    """Write the features of all entries; return the slices per second, 0 with nothing left to do.

    Parameters
    ----------
    save_every : series between two writes of the number of finished series

    Raises
    ------
    TrainingError
        the disk is full
    """
    starts, note = starts_of(entries), path.with_suffix(".json")
    values = _opened(path, int(starts[-1]), int(cnn.last.kernel.shape[0]), note)
    done = _done(note)
    engine, begun = feature_engine(cnn.serving), time.monotonic()
    with (
        progress_bar("features", int(starts[-1]), "slices", int(starts[done])) as progress,
        translate_write_errors(path),
    ):
        for number, slices in read_ahead(source, entries, done, readers):
            values[starts[number] : starts[number + 1]] = in_chunks(engine, slices, CHUNK)
            progress.update(len(slices))
            if (number + 1) % save_every == 0 or number + 1 == len(entries):
                values.flush()
                write_json(note, {"series": number + 1})
    return float(starts[-1] - starts[done]) / (time.monotonic() - begun)


def starts_of(entries: Sequence[Any]) -> NDArray[np.int64]:
    """The first row of each entry's slices, and the number of all slices; (k + 1,)."""
    return np.concatenate([[0], np.cumsum([len(entry.labels) for entry in entries])]).astype(np.int64)


def _opened(path: Path, count: int, size: int, note: Path) -> Any:
    """The array on disk, allocated whole, so that a full disk fails at the start."""
    if not path.exists() or np.load(path, mmap_mode="r").shape != (count, size):
        note.unlink(missing_ok=True)
        with translate_write_errors(path):
            return np.lib.format.open_memmap(path, "w+", np.float16, (count, size))
    return np.lib.format.open_memmap(path, "r+")


def _done(note: Path) -> int:
    return int(json.loads(note.read_text())["series"]) if note.exists() else 0


def read_ahead(
    source: Source, entries: Sequence[Any], first: int, readers: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield whole series in their order; `readers` threads read the next ones meanwhile."""
    coming: deque[Future[NDArray[np.uint8]]] = deque()
    with ThreadPoolExecutor(readers, thread_name_prefix="reading") as pool:
        try:
            for number in range(first, len(entries) + readers):
                if number < len(entries):
                    coming.append(pool.submit(source.slices, entries[number]))
                if number >= first + readers:
                    yield number - readers, coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
