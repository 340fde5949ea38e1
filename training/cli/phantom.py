"""Commands that write phantoms."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

Share = Annotated[float, Parameter(validator=Number(gte=0, lte=1))]


def phantoms(
    *,
    out: Path = Path("phantoms.zip"),
    studies: int = 100,
    seed: int = 7_000_000,
    size: Literal[256, 512] = 256,
    traps: bool = False,
    masks: bool = False,
    broad: bool = False,
    small: Share = 0.0,
) -> None:
    """Write an archive of phantoms in the layout of RSNA 2019.

    Parameters
    ----------
    out
        Path of the archive.
    studies
        Number of studies.
    seed
        Seed of the first study.
    size
        Rows and columns of a slice; 512 are interpolated from 256.
    traps
        Include the faults of the challenge's data.
    masks
        Include every slice's share of blood.
    broad
        Draw half of the scanners, heads, brains and haemorrhages from harder ranges.
    small
        Share of the haemorrhages that are as small as most patients' are.
    """
    from training.phantom.rsna_archive import Plan, write_archive
    from training.phantom.study_options import StudyOptions

    options = StudyOptions(broad=broad, small=small)
    write_archive(out, Plan(studies, seed, traps=traps, masks=masks, size=size, options=options))


def samples(*, out: Path = Path("samples")) -> None:
    """Write the synthetic sample series and slice.

    Parameters
    ----------
    out
        Folder of the samples.
    """
    from training.data.samples import write

    write(out)
