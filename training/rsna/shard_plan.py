"""The plan of a folder of shards: written before the first shard, read when the shards are opened."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from services.common.recipe import Recipe
from training.io.errors import TrainingError
from training.io.files import write_json
from training.io.tables import table_digest
from training.rsna.codec import bounds_hu

VERSION: Final = 2  # of the format of shards; since 2, pixels are in patient orientation
_FIRST_VERSION: Final = 1  # its plans name no version
PLAN: Final = "plan.json"
FOLDS: Final = "folds.parquet"


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """Number and value range of the shards. `digest` is the hash of the index, the range and the size of a shard."""

    digest: str
    shards: int
    lowest_hu: int
    highest_hu: int
    version: int = VERSION

    def stem(self, folder: Path, number: int) -> Path:
        """Return the path of a shard's files, without suffix."""
        return folder / f"{number:05d}"


def plan_for(index: Path, recipe: Recipe, shards: int, shard_slices: int) -> ShardPlan:
    """Return the plan for an index."""
    lowest_hu, highest_hu = bounds_hu(recipe)
    inputs = f"{VERSION} {table_digest(index)} {lowest_hu} {highest_hu} {shard_slices}"
    return ShardPlan(sha256(inputs.encode()).hexdigest(), shards, lowest_hu, highest_hu)


def claim_folder(folder: Path, plan: ShardPlan) -> None:
    """Write the plan into an empty folder, or check that the folder has the same plan.

    Raises
    ------
    TrainingError
        the folder has shards of another index
    """
    if not (folder / PLAN).is_file():
        write_json(folder / PLAN, asdict(plan))
    elif read_plan(folder) != plan:
        raise TrainingError(f"{folder} has the shards of another index: choose another folder, or remove this one.")


def read_plan(folder: Path) -> ShardPlan:
    """Read the plan of a folder.

    Raises
    ------
    TrainingError
        the plan is missing, or its shards are of another version
    """
    try:
        plan = ShardPlan(**{"version": _FIRST_VERSION, **json.loads((folder / PLAN).read_text())})
    except (OSError, ValueError, TypeError):
        raise TrainingError(f"{folder} has no shards: run `python -m training shards`.") from None
    if plan.version != VERSION:
        raise TrainingError(
            f"{folder} has shards of version {plan.version}; this program reads version {VERSION}. "
            "Remove the folder and run `python -m training shards`."
        )
    return plan


def series_starts(rows: Any) -> list[int]:
    """Return the first row of each series, and the number of rows; the slices of a series are adjacent."""
    series = zip(rows["study_uid"].to_pylist(), rows["series_uid"].to_pylist(), strict=True)
    begins, before = [], None
    for row, uids in enumerate(series):
        if uids != before:
            begins.append(row)
        before = uids
    return [*begins, rows.num_rows]
