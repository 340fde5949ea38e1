"""`python -m tests.bench.shards PATH`: bytes of a packed slice, and slices that a core reads in a second.

PATH is a folder of DICOM files, which it packs, or of shards.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.dicom_file import decode_frame
from services.preprocess.errors import UnreadableFile
from training.rsna.codec import pack, unpack
from training.rsna.pack_archive import ALL_SLICES
from training.rsna.shard_plan import PLAN
from training.rsna.shards import open_shards


def main() -> None:
    """Measure processor time in one process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    path = parser.parse_args().path
    for line in _shards(path) if (path / PLAN).is_file() else _files(path):
        print(line, flush=True)


def _files(folder: Path) -> Iterator[str]:
    images, out = [], np.empty((512, 512, 3), np.uint8)
    for file in sorted(folder.rglob("*.dcm")):
        try:
            images.append(decode_frame(file.read_bytes(), 0))
        except UnreadableFile:
            continue
    begin = time.process_time()
    packed = [pack(image, DEFAULT_RECIPE) for image in images]
    yield f"packed   {len(packed) / (time.process_time() - begin):8.0f} slices/s of a core"
    begin = time.process_time()
    for one in packed:
        unpack(one, DEFAULT_RECIPE, out)
    yield f"read     {len(packed) / (time.process_time() - begin):8.0f} slices/s of a core"
    yield from _size(statistics.fmean(len(one.data) for one in packed), len(packed))


def _shards(folder: Path) -> Iterator[str]:
    shards = open_shards(folder)
    begin, count = time.process_time(), 0
    for entry in shards.entries:
        count += len(shards.slices(entry))
    yield f"read     {count / (time.process_time() - begin):8.0f} slices/s of a core"
    yield from _size(sum(file.stat().st_size for file in folder.glob("*.bin")) / count, count)


def _size(slice_bytes: float, count: int) -> Iterator[str]:
    yield f"size     {slice_bytes:8.0f} bytes a slice, of {count}"
    yield f"all      {slice_bytes * ALL_SLICES / 1e9:8.1f} GB for the challenge's {ALL_SLICES} slices"


if __name__ == "__main__":
    main()
