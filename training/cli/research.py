"""Commands of studies that explain the default bundle; no bundle needs them."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from training.cli.parameters import help_text

LOG = logging.getLogger(__name__)


def gallery(
    *,
    out: Annotated[Path, help_text("Folder of the pictures.")] = Path("docs/explanation/phantoms"),
    real: Annotated[Path | None, help_text("Folder of a real series, DICOM files, to compare with.")] = None,
) -> None:
    """Draw the pictures of docs/explanation/phantoms."""
    from training.research.gallery import draw

    draw(out, real)


def ablate(
    *,
    steps: Annotated[int, help_text("Steps of each training.")] = 500,
    run: Annotated[Path, help_text("Folder of the checkpoints.")] = Path("runs/ablation"),
    out: Annotated[Path, help_text("Folder of the figures.")] = Path("docs/explanation/default"),
) -> None:
    """Train the CNN briefly, each time without one part, and compare."""
    from training.configs.default import CONFIG
    from training.options.stream import StreamOptions
    from training.research.ablation import ablate as run_ablation

    run_ablation(replace(CONFIG.cnn, steps=steps, rate=2e-3, stream=StreamOptions()), run, out)


def implant(
    series: Annotated[Path, help_text("Folder of the DICOM files of one head CT without haemorrhage.")],
    /,
    *,
    bundle: Annotated[Path, help_text("Folder of the bundle.")] = Path("models/default"),
    each: Annotated[int, help_text("Number of haemorrhages of every kind.")] = 20,
    out: Annotated[Path, help_text("Folder of the figures and the picture.")] = Path("runs/implanted"),
) -> None:
    """Paint haemorrhages into a real series without any, and measure what a bundle finds."""
    from training.io.files import write_json
    from training.research.painted_blood_study import measure_painted

    found = measure_painted(bundle, series, out, each=each)
    write_json(out / "implanted.json", found)
    LOG.info("%s, without blood: %s", out, json.dumps(found["without"]))


def thin_slices(
    *,
    bundle: Annotated[Path, help_text("Folder of the bundle.")] = Path("models/default"),
    studies: Annotated[int, help_text("Number of phantoms.")] = 18,
    spacing: Annotated[float, help_text("Slice spacing of the thin slices in mm.")] = 1.25,
) -> None:
    """Compare a bundle's predictions on the same heads in thin and in thick slices."""
    from training.research.thin_slices import compare

    compare(bundle, studies, spacing)
