"""The index in parts on several machines: each reads the headers of its blocks; the join sorts them as one run does."""

import shutil
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from training.io.parts import Part, Parts
from training.rsna.archive import Archive
from training.rsna.index import (
    BLOCK_FILES,
    digest_for,
    is_index_of,
    labels_of,
    plan_blocks,
    read_blocks,
    write_index,
)
from training.rsna.index_blocks import Block


def index_part(archive: Archive, out: Path, part: Part, *, processes: int | None = None) -> None:
    """Read the headers of one part, and record the part beside `out`.

    Raises
    ------
    TrainingError
        as `build_index`, or the folder has parts of another number
    """
    if is_index_of(archive, out):
        return
    labels_of(archive)  # fails early where they are missing
    blocks = _plan(archive, out, part.count)
    parts, own = _parts(archive, out, blocks), part.of(blocks)
    parts.begin(part)
    read_blocks(archive, own, _processes(archive, processes))
    parts.finish(part, [block.path.stem for block in own])


def join_index(archive: Archive, out: Path, count: int, *, processes: int | None = None) -> None:
    """Write the index from all parts, with the bytes of an index from one machine.

    Raises
    ------
    TrainingError
        as `build_index`; or a part is missing, damaged, or of another archive or number of parts
    """
    blocks = _plan(archive, out, max(count, 1))
    parts = _parts(archive, out, blocks)
    if not is_index_of(archive, out):
        parts.check(count, [block.path.stem for block in blocks])
        write_index(archive, labels_of(archive), blocks, out, _processes(archive, processes))
    for folder in {parts.folder, *(block.path.parent for block in blocks)}:
        shutil.rmtree(folder, ignore_errors=True)


def _plan(archive: Archive, out: Path, count: int) -> list[Block]:
    """Smaller blocks than those of one machine where some part would have none."""
    return plan_blocks(archive, out, min(BLOCK_FILES, max(ceil(len(archive.sizes) / count), 1)))


def _processes(archive: Archive, processes: int | None) -> int | None:
    return 1 if len(archive.sizes) <= BLOCK_FILES else processes  # starting more takes longer


def _parts(archive: Archive, out: Path, blocks: Sequence[Block]) -> Parts:
    paths = {block.path.stem: [block.path] for block in blocks}
    folder = out.with_name(f"{out.name}.parts")
    return Parts("index", folder, {"archive": digest_for(archive)}, lambda unit: paths.get(unit, []))
