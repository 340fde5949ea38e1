"""Commands that write phantoms."""

from pathlib import Path
from typing import Annotated, Literal

from training.cli.parameters import SHARE, help_text


def phantoms(
    *,
    out: Annotated[Path, help_text("Path of the archive.")] = Path("phantoms.zip"),
    studies: Annotated[int, help_text("Number of studies.")] = 100,
    seed: Annotated[int, help_text("Seed of the first study.")] = 7_000_000,
    size: Annotated[Literal[256, 512], help_text("Rows and columns of a slice; 512 are interpolated from 256.")] = 256,
    traps: Annotated[bool, help_text("Include the faults of the challenge's data.")] = False,
    masks: Annotated[bool, help_text("Include every slice's share of blood.")] = False,
    broad: Annotated[bool, help_text("Draw half of the scanners, heads and haemorrhages from harder ranges.")] = False,
    small: Annotated[float, help_text("Share of haemorrhages that are as small as most patients' are.", SHARE)] = 0.0,
) -> None:
    """Write an archive of phantoms in the layout of RSNA 2019."""
    from training.phantom.rsna_archive import Plan, write_archive
    from training.phantom.study_options import StudyOptions

    options = StudyOptions(broad=broad, small=small)
    write_archive(out, Plan(studies, seed, traps=traps, masks=masks, size=size, options=options))


def samples(*, out: Annotated[Path, help_text("Folder of the samples.")] = Path("samples")) -> None:
    """Write the synthetic sample series and slice."""
    from training.data.samples import write

    write(out)
