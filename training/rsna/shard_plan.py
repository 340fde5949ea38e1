"""Which shards a folder holds, and of what: written before the first of them, and read by whoever opens them."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from services.common.recipe import Recipe
from training.io.errors import TrainingError
from training.io.files import write_atomically
from training.io.tables import table_digest
from training.rsna.codec import bounds_hu

VERSION: Final = 2  # of how shards are written; from 2 on, their pixels are in patient orientation
_FIRST_VERSION: Final = 1  # its plans do not name it
PLAN: Final = "plan.json"
FOLDS: Final = "folds.parquet"


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a folder. `digest` is the hash of the index, the bounds and the size of a shard."""

    digest: str
    shards: int
    lowest_hu: int
    highest_hu: int
    version: int = VERSION

    def stem(self, folder: Path, number: int) -> Path:
        """The path of a shard's files, without their suffix."""
        return folder / f"{number:05d}"


def plan_for(index: Path, recipe: Recipe, shards: int, shard_slices: int) -> Plan:
    """The plan of an index."""
    lowest_hu, highest_hu = bounds_hu(recipe)
    made_of = f"{VERSION} {table_digest(index)} {lowest_hu} {highest_hu} {shard_slices}"
    return Plan(sha256(made_of.encode()).hexdigest(), shards, lowest_hu, highest_hu)


def settle(folder: Path, plan: Plan) -> None:
    """Write the plan into an empty folder, or find the same one there.

    Raises
    ------
    TrainingError
        the folder holds shards of another index
    """
    if not (folder / PLAN).is_file():
        write_atomically(folder / PLAN, lambda part: part.write_text(json.dumps(asdict(plan), indent=1) + "\n"))
    elif read_plan(folder) != plan:
        raise TrainingError(f"{folder} holds the shards of another index: name another folder, or remove this one.")


def read_plan(folder: Path) -> Plan:
    """The plan of a folder.

    Raises
    ------
    TrainingError
        there is none, or its shards are of another version
    """
    try:
        plan = Plan(**{"version": _FIRST_VERSION, **json.loads((folder / PLAN).read_text())})
    except (OSError, ValueError, TypeError):
        raise TrainingError(f"{folder} holds no shards: `python -m training shards` makes them.") from None
    if plan.version != VERSION:
        raise TrainingError(
            f"{folder} holds shards of version {plan.version}; this program reads version {VERSION}. "
            "Remove the folder, and `python -m training shards` makes it anew."
        )
    return plan


def series_starts(rows: Any) -> list[int]:
    """The rows at which series begin, and the end; the slices of one stand one behind the other."""
    series = zip(rows["study_uid"].to_pylist(), rows["series_uid"].to_pylist(), strict=True)
    begins, before = [], None
    for row, uids in enumerate(series):
        if uids != before:
            begins.append(row)
        before = uids
    return [*begins, rows.num_rows]
