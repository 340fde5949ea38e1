"""The archive's slices by series, packed in Hounsfield units and read as the very pixels that the service makes.

plan.json          of which index, within which bounds, in how many shards
folds.parquet      a copy of the folds: other folds need no other shards
00000.bin          codestreams, one behind the other
00000.parquet      a row a slice: whose it is, its labels, where it stands, or why it could not be packed
set_aside.txt      the slices that could not be packed
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.recipe import Recipe
from training.archive import Split
from training.codec import Packed, unpack

_PLACE: Final = ("start", "bytes", "lowest_hu", "row_spacing_mm", "column_spacing_mm")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One series, its n slices in anatomical order towards the head.

    Attributes
    ----------
    fold : 0 is held out; -1 for the challenge's test slices
    files : the slices' names in the archive
    position_mm : (n,) float32, from the lowest slice
    labels : (n, 6) bool in the order of LABELS, false where they are not known
    known : (n, 6) bool
    """

    series_uid: str
    patient_id: str
    fold: int
    split: Split
    files: tuple[str, ...]
    position_mm: NDArray[np.float32]
    labels: NDArray[np.bool_]
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shards:
    """All series of a folder of shards; to be read from any number of threads and processes.

    `digest` is the hash of what the shards and folds were made of. `places` are (n, 5) arrays by a series' first file.
    """

    folder: Path
    entries: tuple[Entry, ...]
    digest: str
    recipe: Recipe
    places: Mapping[str, tuple[Path, NDArray[np.float64]]]

    def slices(self, entry: Entry, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Slices of a series as the networks are shown them.

        Parameters
        ----------
        indices : which of them, in that order; all of them unless told

        Returns
        -------
        (k, 512, 512, 3) uint8, by the recipe
        """
        path, places = self.places[entry.files[0]]
        wanted = places if indices is None else places[list(indices)]
        pixels = np.empty((len(wanted), self.recipe.rows, self.recipe.columns, 3), np.uint8)
        with path.open("rb", buffering=0) as file:
            for out, (start, size, *shown) in zip(pixels, wanted, strict=True):
                file.seek(int(start))
                unpack(Packed(file.read(int(size)), *shown), self.recipe, out)
        return pixels
