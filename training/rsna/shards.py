"""Reads the archive's slices from shards, by series, as exactly the pixels that the service makes.

plan.json          digest of the index, range of values, number of shards
folds.parquet      copy of the folds; other folds need no other shards
00000.bin          concatenated codestreams
00000.parquet      one row a slice: identifiers, labels, offset in the .bin, or the reason why it was not packed
set_aside.txt      slices that could not be packed
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
from training.rsna.codec import PackedSlice, bounds_hu, unpack
from training.rsna.folds import fold_of
from training.rsna.shard_plan import FOLDS, ShardPlan, read_plan, series_starts

_PLACE: Final = ("start", "bytes", "lowest_hu", "row_spacing_mm", "column_spacing_mm")

Places = tuple[Path, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One series; its n slices in order from foot to head.

    Attributes
    ----------
    fold : 0 is held out; -1 for the challenge's test slices
    files : names of the slices in the archive
    position_mm : (n,) float32, from the lowest slice
    labels : (n, 6) bool in the order of LABELS, false where unknown
    label_mask : (n, 6) bool
    """

    series_uid: str
    patient_id: str
    fold: int
    split: Split
    files: tuple[str, ...]
    position_mm: NDArray[np.float32]
    labels: NDArray[np.bool_]
    label_mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shards:
    """All series of a folder of shards, readable from any number of threads and processes.

    `digest` is the hash of the inputs of shards and folds. `places` gives, by a series' first file, the path of its
    shard and an (n, 5) array with the columns of `_PLACE`.
    """

    folder: Path
    entries: tuple[Entry, ...]
    digest: str
    recipe: Recipe
    places: Mapping[str, Places]

    def slices(self, entry: Entry, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Return slices of a series as the networks see them.

        Parameters
        ----------
        indices : indices of the slices, in that order; all by default

        Returns
        -------
        (k, 512, 512, 3) uint8, made by the recipe
        """
        path, places = self.places[entry.files[0]]
        wanted = places if indices is None else places[list(indices)]
        pixels = np.empty((len(wanted), self.recipe.rows, self.recipe.columns, 3), np.uint8)
        with path.open("rb", buffering=0) as file:
            for out, place in zip(pixels, wanted, strict=True):
                unpack(_read_slice(file, place), self.recipe, out)
        return pixels


def open_shards(folder: Path, recipe: Recipe = DEFAULT_RECIPE) -> Shards:
    """Open the shards that `pack_archive` wrote.

    Raises
    ------
    TrainingError
        shards are missing or unfinished, or their range of values is too narrow for the recipe
    """
    plan = read_plan(folder)
    lowest_hu, highest_hu = bounds_hu(recipe)
    if lowest_hu < plan.lowest_hu or highest_hu > plan.highest_hu:
        raise TrainingError(
            f"{folder} has values from {plan.lowest_hu} to {plan.highest_hu} HU; "
            f"the recipe needs {lowest_hu} to {highest_hu} HU."
        )
    found = [_read(folder, plan, number) for number in range(plan.shards)]
    assigned = read_table(folder / FOLDS, "shards")
    entries: list[Entry] = []
    places: dict[str, Places] = {}
    for number, rows in enumerate(found):
        for entry, place in _entries(rows, fold_of(rows, assigned)):
            entries.append(entry)
            places[entry.files[0]] = plan.stem(folder, number).with_suffix(".bin"), place
    digest = sha256(f"{plan.digest} {table_digest(folder / FOLDS)}".encode()).hexdigest()
    return Shards(folder, tuple(entries), digest, recipe, places)


def _read(folder: Path, plan: ShardPlan, number: int) -> Any:
    """Read the rows of a shard that were packed."""
    path = plan.stem(folder, number).with_suffix(".parquet")
    if table_digest(path) != plan.digest:
        raise TrainingError(f"{folder} is not finished: run `python -m training shards` again; it resumes.")
    rows = read_table(path, "shards")
    return rows.filter(pc.is_null(rows["failure"]))


def _entries(rows: Any, folds: NDArray[np.int32]) -> Iterator[tuple[Entry, NDArray[np.float64]]]:
    columns = [rows[label] for label in LABELS]
    labels = np.stack([pc.equal(column, True).fill_null(False).to_numpy() for column in columns], axis=1)  # noqa: FBT003 - pyarrow's
    label_mask = np.stack([pc.is_valid(column).to_numpy() for column in columns], axis=1)
    position_mm = rows["position_mm"].to_numpy().astype(np.float32)
    places = np.stack([rows[name].to_numpy().astype(np.float64) for name in _PLACE], axis=1)
    files, series, patients, splits = (rows[name].to_pylist() for name in ("file", "series_uid", "patient_id", "split"))
    for start, stop in pairwise(series_starts(rows)):
        own = slice(start, stop)
        whose = series[start], patients[start], int(folds[start]), splits[start]
        yield Entry(*whose, tuple(files[own]), position_mm[own], labels[own], label_mask[own]), places[own]


def _read_slice(file: BinaryIO, place: NDArray[np.float64]) -> PackedSlice:
    start, size, lowest_hu, row_spacing_mm, column_spacing_mm = place.tolist()
    file.seek(int(start))
    return PackedSlice(file.read(int(size)), int(lowest_hu), row_spacing_mm, column_spacing_mm)
