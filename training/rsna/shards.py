"""The archive's slices by series, packed in Hounsfield units and read as the very pixels that the service makes.

plan.json          of which index, within which bounds, in how many shards
folds.parquet      a copy of the folds: other folds need no other shards
00000.bin          codestreams, one behind the other
00000.parquet      a row a slice: whose it is, its labels, where it stands, or why it could not be packed
set_aside.txt      the slices that could not be packed
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.common.labels import LABELS
from services.common.recipe import DEFAULT_RECIPE, Recipe
from training.io.errors import TrainingError
from training.io.tables import read_table, table_digest
from training.rsna.archive import Split
from training.rsna.codec import Packed, bounds_hu, unpack
from training.rsna.folds import fold_of
from training.rsna.shard_plan import FOLDS, Plan, read_plan, series_starts

_PLACE: Final = ("start", "bytes", "lowest_hu", "row_spacing_mm", "column_spacing_mm")

Places = tuple[Path, NDArray[np.float64]]


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

    `digest` is the hash of what the shards and folds were made of. `places` are a
    shard's path and an (n, 5) array, the columns of `_PLACE`, by a series' first file.
    """

    folder: Path
    entries: tuple[Entry, ...]
    digest: str
    recipe: Recipe
    places: Mapping[str, Places]

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
            for out, place in zip(pixels, wanted, strict=True):
                unpack(_packed(file, place), self.recipe, out)
        return pixels


def open_shards(folder: Path, recipe: Recipe = DEFAULT_RECIPE) -> Shards:
    """Open what `pack_archive` has left.

    Raises
    ------
    TrainingError
        there are no shards, they were not finished, or they were clipped too narrowly for the recipe
    """
    plan = read_plan(folder)
    lowest_hu, highest_hu = bounds_hu(recipe)
    if lowest_hu < plan.lowest_hu or highest_hu > plan.highest_hu:
        raise TrainingError(f"{folder} holds {plan.lowest_hu} to {plan.highest_hu} HU: too little for this recipe.")
    found = [_read(folder, plan, number) for number in range(plan.shards)]
    dealt = read_table(folder / FOLDS, "shards")
    entries: list[Entry] = []
    places: dict[str, Places] = {}
    for number, rows in enumerate(found):
        for entry, place in _entries(rows, fold_of(rows, dealt)):
            entries.append(entry)
            places[entry.files[0]] = plan.stem(folder, number).with_suffix(".bin"), place
    digest = sha256(f"{plan.digest} {table_digest(folder / FOLDS)}".encode()).hexdigest()
    return Shards(folder, tuple(entries), digest, recipe, places)


def _read(folder: Path, plan: Plan, number: int) -> Any:
    """The slices of a shard that could be packed."""
    path = plan.stem(folder, number).with_suffix(".parquet")
    if table_digest(path) != plan.digest:
        raise TrainingError(f"{folder} is not finished: start `python -m training shards` again, it goes on.")
    rows = read_table(path, "shards")
    return rows.filter(pc.is_null(rows["failure"]))


def _entries(rows: Any, folds: NDArray[np.int32]) -> Iterator[tuple[Entry, NDArray[np.float64]]]:
    told = [rows[label] for label in LABELS]
    labels = np.stack([pc.equal(column, True).fill_null(False).to_numpy() for column in told], axis=1)  # noqa: FBT003 - pyarrow's
    known = np.stack([pc.is_valid(column).to_numpy() for column in told], axis=1)
    position_mm = rows["position_mm"].to_numpy().astype(np.float32)
    places = np.stack([rows[name].to_numpy().astype(np.float64) for name in _PLACE], axis=1)
    files, series, patients, splits = (rows[name].to_pylist() for name in ("file", "series_uid", "patient_id", "split"))
    for start, stop in pairwise(series_starts(rows)):
        own = slice(start, stop)
        whose = series[start], patients[start], int(folds[start]), splits[start]
        yield Entry(*whose, tuple(files[own]), position_mm[own], labels[own], known[own]), places[own]


def _packed(file: BinaryIO, place: NDArray[np.float64]) -> Packed:
    start, size, lowest_hu, row_spacing_mm, column_spacing_mm = place.tolist()
    file.seek(int(start))
    return Packed(file.read(int(size)), int(lowest_hu), row_spacing_mm, column_spacing_mm)
