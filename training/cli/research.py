"""Commands of studies that explain the default bundle; no bundle needs them."""

import json
import logging
from dataclasses import replace
from pathlib import Path

LOG = logging.getLogger(__name__)


def gallery(*, out: Path = Path("docs/explanation/phantoms"), real: Path | None = None) -> None:
    """Draw the pictures of docs/explanation/phantoms.

    Parameters
    ----------
    out
        Folder of the pictures.
    real
        Folder of a real series, DICOM files, to compare with.
    """
    from training.research.gallery import draw

    draw(out, real)


def ablate(
    *, steps: int = 500, run: Path = Path("runs/ablation"), out: Path = Path("docs/explanation/default")
) -> None:
    """Train the CNN briefly, each time without one part, and compare.

    Parameters
    ----------
    steps
        Steps of each training.
    run
        Folder of the checkpoints.
    out
        Folder of the figures.
    """
    from training.configs.default import CONFIG
    from training.options.stream import StreamOptions
    from training.research.ablation import ablate as run_ablation

    run_ablation(replace(CONFIG.cnn, steps=steps, rate=2e-3, stream=StreamOptions()), run, out)


def implant(
    series: Path,
    /,
    *,
    bundle: Path = Path("models/default"),
    each: int = 20,
    out: Path = Path("runs/implanted"),
) -> None:
    """Paint haemorrhages into a real series without any, and measure what a bundle finds.

    Parameters
    ----------
    series
        Folder of the DICOM files of one head CT without haemorrhage.
    bundle
        Folder of the bundle.
    each
        Number of haemorrhages of every kind.
    out
        Folder of the figures and the picture.
    """
    from training.io.files import write_json
    from training.research.painted_blood_study import measure_implanted

    found = measure_implanted(bundle, series, out, each=each)
    write_json(out / "implanted.json", found)
    LOG.info("%s, without blood: %s", out, json.dumps(found["without"]))


def thin_slices(*, bundle: Path = Path("models/default"), studies: int = 18, spacing: float = 1.25) -> None:
    """Compare a bundle's predictions on the same heads in thin and in thick slices.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    studies
        Number of phantoms.
    spacing
        Slice spacing of the thin slices in mm.
    """
    from training.research.thin_slices import compare

    compare(bundle, studies, spacing)
