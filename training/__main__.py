"""The steps of training, by name."""

import argparse
import logging
import os
import pkgutil
from collections.abc import Callable
from pathlib import Path


def main() -> None:
    """Read the command line and run one step."""
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and measure the networks.")
    steps = parser.add_subparsers(dest="step", required=True, metavar="step")
    default = steps.add_parser(
        "default", help="the default bundle from synthetic phantoms: make, train, measure, export"
    )
    default.add_argument("--out", type=Path, default=Path("models/default"), help="folder of the bundle")
    default.add_argument(
        "--run", type=Path, default=Path("runs/default"), help="folder to leave progress in, and to go on from"
    )
    default.add_argument("--minutes", type=float, help="about how long on two cores; fewer phantoms, fewer steps")
    phantoms = steps.add_parser("phantoms", help="an archive of phantoms in the layout of RSNA 2019")
    phantoms.add_argument("--out", type=Path, default=Path("phantoms.zip"), help="the archive")
    phantoms.add_argument("--studies", type=int, default=100, help="how many")
    phantoms.add_argument("--seed", type=int, default=7_000_000, help="of the first study")
    phantoms.add_argument("--size", type=int, choices=(256, 512), default=256, help="512 are interpolated from 256")
    phantoms.add_argument("--traps", action="store_true", help="with the faults of the challenge's data")
    phantoms.add_argument("--masks", action="store_true", help="with every slice's share of blood")
    gallery = steps.add_parser("gallery", help="the pictures of docs/phantoms")
    gallery.add_argument("--out", type=Path, default=Path("docs/phantoms"), help="folder of the pictures")
    gallery.add_argument("--real", type=Path, help="a real series to compare with, a folder of DICOM files")
    plots = steps.add_parser("plots", help="a bundle's card as a page with pictures")
    plots.add_argument("--bundle", type=Path, default=Path("models/default"), help="folder of the bundle")
    plots.add_argument("--run", type=Path, help="folder of its training, for the plot of the learning")
    plots.add_argument("--out", type=Path, default=Path("docs/default"), help="folder of the pictures")
    ablate = steps.add_parser("ablate", help="short trainings of the CNN, each without one part")
    ablate.add_argument("--steps", type=int, default=500, help="of each training")
    ablate.add_argument("--run", type=Path, default=Path("runs/ablation"), help="folder of their checkpoints")
    ablate.add_argument("--out", type=Path, default=Path("docs/default"), help="folder of the figures")
    measured = steps.add_parser("evaluate-phantoms", help="a bundle's SavedModels on the fixed phantoms, as served")
    measured.add_argument("--bundle", type=Path, default=Path("models/default"), help="folder of the bundle")
    measured.add_argument("--real", type=Path, help="also what it says of real series, a folder of DICOM files")
    measured.add_argument("--out", type=Path, default=Path("runs/measured"), help="folder of the figures and plots")
    samples = steps.add_parser("samples", help="the synthetic sample series and slice")
    samples.add_argument("--out", type=Path, default=Path("samples"), help="folder of the samples")
    _start(parser.parse_args())


def _start(arguments: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of graphs made anew for another bundle
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    # A step's modules are imported only here: TensorFlow takes seconds, and the processes that make phantoms
    # import this module again.
    run: Callable[[argparse.Namespace], None] = pkgutil.resolve_name(
        f"training.steps:{arguments.step.replace('-', '_')}"
    )
    run(arguments)


if __name__ == "__main__":
    main()
