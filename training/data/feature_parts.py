"""Features in parts on several machines: each computes blocks of series; the join concatenates them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.data.batches import Source
from training.data.features import CHUNK, read_ahead, starts_of
from training.io.files import write_atomically, write_json
from training.io.progress import progress_bar
from training.networks.cnn import Cnn
from training.networks.extractor import in_chunks
from training.networks.feature_engine import feature_engine

BLOCK_SERIES: Final = 50


@dataclass(frozen=True, slots=True)
class FeatureBlock:
    """Adjacent series, whose features (m, d) float16 are in one file."""

    path: Path
    entries: Sequence[Any]

    @property
    def slices(self) -> int:
        """Number of slices, m."""
        return int(starts_of(self.entries)[-1])


def plan_feature_blocks(entries: Sequence[Any], folder: Path, count: int) -> list[FeatureBlock]:
    """Return the blocks of all series; `count` parts get smaller blocks where some part would have none."""
    size = min(BLOCK_SERIES, max(ceil(len(entries) / count), 1))
    return [
        FeatureBlock(folder / f"{number:06d}-{size}.npy", entries[start : start + size])
        for number, start in enumerate(range(0, len(entries), size))
    ]


def write_feature_blocks(cnn: Cnn, source: Source, blocks: Sequence[FeatureBlock], readers: int) -> float:
    """Write those blocks that are not on disk; return the slices per second, 0 with nothing left to do.

    Raises
    ------
    TrainingError
        the disk is full; finished blocks stay
    """
    missing = [block for block in blocks if not block.path.is_file()]
    if not missing:
        return 0.0
    total, to_do = (sum(block.slices for block in some) for some in (blocks, missing))
    engine, begun = feature_engine(cnn.serving), time.monotonic()
    with progress_bar("features", total, "slices", total - to_do) as progress:
        for block in missing:
            rows = []
            for _, slices in read_ahead(source, block.entries, 0, readers):
                rows.append(in_chunks(engine, slices, CHUNK).astype(np.float16))
                progress.update(len(slices))
            _write(block.path, np.concatenate(rows))
    return to_do / (time.monotonic() - begun)


def join_feature_blocks(blocks: Sequence[FeatureBlock], path: Path) -> None:
    """Write the file of `write_features` from all blocks.

    Raises
    ------
    TrainingError
        the disk is full; the blocks stay
    """

    def write(part: Path) -> None:
        width = np.load(blocks[0].path, mmap_mode="r").shape[1]
        rows = np.lib.format.open_memmap(part, "w+", np.float16, (sum(block.slices for block in blocks), width))
        start = 0
        for block in blocks:
            rows[start : start + block.slices] = np.load(block.path)
            start += block.slices
        rows.flush()

    write_atomically(path, write)
    write_json(path.with_suffix(".json"), {"series": sum(len(block.entries) for block in blocks)})


def _write(path: Path, values: Any) -> None:
    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.save(file, values)

    write_atomically(path, write)
