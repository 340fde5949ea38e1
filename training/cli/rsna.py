"""Commands from the archive of RSNA 2019 to shards."""

from pathlib import Path
from typing import Annotated

from training.cli.parameters import JoinCount, PartText, chosen_part, help_text


def download(*, out: Annotated[Path, help_text("Folder of the archive.")] = Path("data")) -> None:
    """Download the archive of RSNA 2019 from Kaggle; needs a token."""
    from training.rsna.download import download as download_archive

    download_archive(out)


def index(
    archive: Annotated[Path, help_text("Kaggle's zip, or the folder of its unpacked files.")],
    /,
    *,
    out: Annotated[Path, help_text("Path of the index.")] = Path("data/index.parquet"),
    processes: Annotated[int | None, help_text("Worker processes; one for each core by default.")] = None,
    part: PartText = None,
    join: JoinCount = None,
) -> None:
    """Write the headers and labels of all files into one Parquet file."""
    from training.rsna.archive import open_archive
    from training.rsna.index import build_index
    from training.rsna.index_in_parts import index_part, join_index

    if own := chosen_part(part, join):
        index_part(open_archive(archive), out, own, processes=processes)
    elif join is not None:
        join_index(open_archive(archive), out, join, processes=processes)
    else:
        build_index(open_archive(archive), out, processes=processes)


def folds(
    *,
    index: Annotated[Path, help_text("Path of the index.")] = Path("data/index.parquet"),
    out: Annotated[Path, help_text("Path of the folds.")] = Path("data/folds.parquet"),
    folds: Annotated[int, help_text("Number of folds.")] = 5,
    seed: Annotated[int, help_text("Another seed gives another assignment.")] = 0,
) -> None:
    """Assign every patient to a fold; fold 0 is never trained on."""
    from training.rsna.folds import write_folds

    write_folds(index, out, folds=folds, seed=seed)


def shards(
    archive: Annotated[Path, help_text("The archive that the index was made from.")],
    /,
    *,
    index: Annotated[Path, help_text("Path of the index.")] = Path("data/index.parquet"),
    folds: Annotated[Path, help_text("Path of the folds.")] = Path("data/folds.parquet"),
    out: Annotated[Path, help_text("Folder of the shards.")] = Path("data/shards"),
    processes: Annotated[int | None, help_text("Worker processes; one for each core by default.")] = None,
    part: PartText = None,
    join: JoinCount = None,
) -> None:
    """Pack the slices in Hounsfield units, losslessly, series by series."""
    from training.rsna.archive import open_archive
    from training.rsna.pack_archive import pack_archive, plan_packing
    from training.rsna.pack_in_parts import join_shards, pack_part

    opened = open_archive(archive)
    if own := chosen_part(part, join):
        pack_part(opened, plan_packing(opened, index, folds, out), own, processes=processes)
    elif join is not None:
        join_shards(opened, plan_packing(opened, index, folds, out), join)
    else:
        pack_archive(opened, index, folds, out, processes=processes)
