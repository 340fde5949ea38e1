"""Shards in parts on several machines: each packs every n-th shard; the join checks them and copies the folds."""

from collections.abc import Sequence
from pathlib import Path

from services.common.recipe import DEFAULT_RECIPE
from training.io.parts import Part, Parts
from training.rsna.archive import Archive
from training.rsna.index import digest_for
from training.rsna.pack_archive import Packing, finish_packing, pack_missing


def pack_part(archive: Archive, packing: Packing, part: Part, *, processes: int | None = None) -> None:
    """Pack the shards of one part, and record the part in the folder of the shards.

    Raises
    ------
    TrainingError
        the folder has parts of another number, or the disk is full
    """
    parts, own = _parts(archive, packing), part.of(packing.shards)
    parts.begin(part)
    pack_missing(archive, own, processes)
    parts.finish(part, [shard.stem.name for shard in own])


def join_shards(archive: Archive, packing: Packing, count: int) -> None:
    """Check that the parts hold every shard, and finish the folder as one machine does.

    Raises
    ------
    TrainingError
        a part is missing, damaged, or of another archive, recipe or number of parts
    """
    _parts(archive, packing).check(count, [shard.stem.name for shard in packing.shards])
    finish_packing(packing)


def _parts(archive: Archive, packing: Packing) -> Parts:
    inputs = {
        "archive": digest_for(archive),
        "recipe": DEFAULT_RECIPE.fingerprint,
        "plan": packing.plan.digest,
    }
    return Parts("shards", packing.out / "parts", inputs, lambda unit: _files(packing.out, unit))


def _files(out: Path, unit: str) -> Sequence[Path]:
    return [(out / unit).with_suffix(suffix) for suffix in (".bin", ".parquet")]
