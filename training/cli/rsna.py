"""Commands from the archive of RSNA 2019 to shards."""

from pathlib import Path


def download(*, out: Path = Path("data")) -> None:
    """Download the archive of RSNA 2019 from Kaggle; needs a token.

    Parameters
    ----------
    out
        Folder of the archive.
    """
    from training.rsna.download import download as download_archive

    download_archive(out)


def index(archive: Path, /, *, out: Path = Path("data/index.parquet"), processes: int | None = None) -> None:
    """Write the headers and labels of all files into one Parquet file.

    Parameters
    ----------
    archive
        Kaggle's zip, or the folder of its unpacked files.
    out
        Path of the index.
    processes
        Worker processes; one for each core by default.
    """
    from training.rsna.archive import open_archive
    from training.rsna.index import build_index

    build_index(open_archive(archive), out, processes=processes)


def folds(
    *,
    index: Path = Path("data/index.parquet"),
    out: Path = Path("data/folds.parquet"),
    folds: int = 5,
    seed: int = 0,
) -> None:
    """Assign every patient to a fold; fold 0 is never trained on.

    Parameters
    ----------
    index
        Path of the index.
    out
        Path of the folds.
    folds
        Number of folds.
    seed
        Another seed gives another assignment.
    """
    from training.rsna.folds import write_folds

    write_folds(index, out, folds=folds, seed=seed)


def shards(
    archive: Path,
    /,
    *,
    index: Path = Path("data/index.parquet"),
    folds: Path = Path("data/folds.parquet"),
    out: Path = Path("data/shards"),
    processes: int | None = None,
) -> None:
    """Pack the slices in Hounsfield units, losslessly, series by series.

    Parameters
    ----------
    archive
        The archive that the index was made from.
    index
        Path of the index.
    folds
        Path of the folds.
    out
        Folder of the shards.
    processes
        Worker processes; one for each core by default.
    """
    from training.rsna.archive import open_archive
    from training.rsna.pack import pack_archive

    pack_archive(open_archive(archive), index, folds, out, processes=processes)
