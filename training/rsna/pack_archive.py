"""Packs an archive into shards on all cores; finished shards of an interrupted run stay."""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.common.recipe import DEFAULT_RECIPE
from training.io.errors import TrainingError
from training.io.files import write_atomically
from training.io.pool import cores, parallel_map
from training.io.progress import progress_bar
from training.io.tables import read_table, table_digest, write_table
from training.rsna.archive import Archive
from training.rsna.folds import assert_no_leak
from training.rsna.headers import REASON_TEXTS
from training.rsna.index import digest_for
from training.rsna.pack_shard import Shard, pack_shard
from training.rsna.shard_plan import FOLDS, ShardPlan, claim_folder, plan_for, series_starts

LOG = logging.getLogger(__name__)
ALL_SLICES: Final = 752_803 + 121_232  # of the challenge
GB: Final = 1e9
SHARD_SLICES: Final = 1024


def pack_archive(
    archive: Archive,
    index: Path,
    folds: Path,
    out: Path,
    *,
    processes: int | None = None,
    shard_slices: int = SHARD_SLICES,
) -> None:
    """Pack every slice of the index that is not set aside.

    Parameters
    ----------
    shard_slices : a shard ends after the series with which it reaches this number of slices

    Raises
    ------
    TrainingError
        index or folds are missing, the index is of another archive, a patient has no fold, the folder holds other
        shards, or the disk is full; finished shards stay
    """
    packing = plan_packing(archive, index, folds, out, shard_slices)
    pack_missing(archive, packing.shards, processes)
    finish_packing(packing)


@dataclass(frozen=True, slots=True)
class Packing:
    """The shards of an archive, their folder, and the table of its folds with its digest."""

    out: Path
    shards: list[Shard]
    plan: ShardPlan
    assigned: Any
    folds_digest: str


def plan_packing(archive: Archive, index: Path, folds: Path, out: Path, shard_slices: int = SHARD_SLICES) -> Packing:
    """Plan the shards and claim their folder; raises as `pack_archive`."""
    rows, assigned = read_table(index, "index"), read_table(folds, "folds")
    if table_digest(index) != digest_for(archive):
        raise TrainingError(f"{index} was not made from {archive.path}: run `python -m training index`.")
    assert_no_leak(rows, assigned)
    used = rows.filter(pc.is_null(rows["reason"]))
    cuts = _cuts(used, shard_slices)
    plan = plan_for(index, DEFAULT_RECIPE, len(cuts) - 1, shard_slices)
    claim_folder(out, plan)
    shards = [
        Shard(plan.stem(out, number), plan.digest, DEFAULT_RECIPE, used.slice(start, stop - start))
        for number, (start, stop) in enumerate(pairwise(cuts))
    ]
    return Packing(out, shards, plan, assigned, table_digest(folds) or "")


def finish_packing(packing: Packing) -> None:
    """Copy the folds, and report the slices of all shards."""
    write_table(packing.out / FOLDS, packing.assigned, packing.folds_digest)
    _report(packing.out, packing.shards)


def _cuts(used: Any, shard_slices: int) -> list[int]:
    """Return the first row of each shard, and the number of rows. A series' slices are adjacent in the index."""
    cuts = [0]
    for row in series_starts(used)[1:]:
        if row - cuts[-1] >= shard_slices or row == used.num_rows:
            cuts.append(row)
    return cuts


def pack_missing(archive: Archive, shards: Sequence[Shard], processes: int | None) -> None:
    """Pack those shards that are not finished."""
    missing = [shard for shard in shards if not shard.is_whole]
    total, to_do = (sum(shard.rows.num_rows for shard in some) for some in (shards, missing))
    tasks = (_tasks(archive, shard) for shard in missing)
    with progress_bar("shards", total, "slices", total - to_do) as shown:
        for count in parallel_map(pack_shard, tasks, min(processes or cores(), max(len(missing), 1))):
            shown.update(count)


def _tasks(archive: Archive, shard: Shard) -> tuple[Archive, Shard]:
    """Copy the rows: pickling a slice of a table would pickle the whole table."""
    own = shard.rows.take(np.arange(shard.rows.num_rows))
    return archive.only(own["file"].to_pylist()), replace(shard, rows=own)


def _report(out: Path, shards: Sequence[Shard]) -> None:
    """Log number and size of the packed slices; list the files that were not packed."""
    found = pq.read_table([shard.table for shard in shards], columns=["file", "bytes", "failure"])
    aside = found.filter(pc.is_valid(found["failure"])).to_pylist()
    lines = [f"{row['file']}\t{row['failure']}\t{REASON_TEXTS[row['failure']]}\n" for row in aside]
    write_atomically(out / "set_aside.txt", lambda part: part.write_text("".join(lines), "utf-8"))
    slices, total = found.num_rows - len(aside), pc.sum(found["bytes"]).as_py() or 0
    bytes_a_slice = total / max(slices, 1)
    LOG.info("%d slices in %d shards, %.2f GB, %.0f bytes a slice", slices, len(shards), total / GB, bytes_a_slice)
    LOG.info("at this size, all %d slices of the challenge need %.1f GB", ALL_SLICES, ALL_SLICES * bytes_a_slice / GB)
    LOG.info("set aside: %s", json.dumps(Counter(row["failure"] for row in aside)))
