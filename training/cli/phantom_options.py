"""The steps of the command line and their options. `training.cli.steps` has a function of the same name for each."""

import math
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from training.cli.run_options import add_learning

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # argparse names it nowhere else

    Steps = _SubParsersAction[ArgumentParser]


def add_steps(steps: "Steps") -> None:
    """Add every step, in the order in which they are listed."""
    for add in (*_DATA, *_LEARNING, *_PHANTOMS):
        add(steps)


# -- from the archive to shards ----------------------------------------------------------------------------------------


def _download(steps: "Steps") -> None:
    step = steps.add_parser("download", help="the archive of RSNA 2019 from Kaggle, for those who have a token")
    step.add_argument("--out", type=Path, default=Path("data"), help="folder of the archive")


def _index(steps: "Steps") -> None:
    step = steps.add_parser("index", help="every file's header and labels in one Parquet file")
    step.add_argument("archive", type=Path, help="Kaggle's zip, or the folder that it was unpacked into")
    step.add_argument("--out", type=Path, default=Path("data/index.parquet"), help="the index")
    step.add_argument("--processes", type=int, help="as many as there are cores, unless told")


def _folds(steps: "Steps") -> None:
    step = steps.add_parser("folds", help="a fold for every patient; fold 0 is never trained on")
    step.add_argument("--index", type=Path, default=Path("data/index.parquet"), help="the index")
    step.add_argument("--out", type=Path, default=Path("data/folds.parquet"), help="the folds")
    step.add_argument("--folds", type=int, default=5, help="how many")
    step.add_argument("--seed", type=int, default=0, help="another one deals the patients otherwise")


def _shards(steps: "Steps") -> None:
    step = steps.add_parser("shards", help="the slices in Hounsfield units, packed by series without loss")
    step.add_argument("archive", type=Path, help="what the index was made of")
    step.add_argument("--index", type=Path, default=Path("data/index.parquet"), help="the index")
    step.add_argument("--folds", type=Path, default=Path("data/folds.parquet"), help="the folds")
    step.add_argument("--out", type=Path, default=Path("data/shards"), help="folder of the shards")
    step.add_argument("--processes", type=int, help="as many as there are cores, unless told")


_DATA = (_download, _index, _folds, _shards)

# -- from shards to a bundle -------------------------------------------------------------------------------------------

_LEARNING = (add_learning,)

# -- phantoms, and the bundle made of them -----------------------------------------------------------------------------


def _default(steps: "Steps") -> None:
    step = steps.add_parser("default", help="the default bundle from synthetic phantoms: make, train, measure, export")
    step.add_argument("--out", type=Path, default=Path("models/default"), help="folder of the bundle")
    step.add_argument(
        "--run", type=Path, default=Path("runs/default"), help="folder to leave progress in, and to go on from"
    )
    step.add_argument(
        "--begin",
        type=Path,
        help="a bundle that the CNN begins as, for fewer steps: MORE, not CONFIG; its `weights` alone with --cnn-only",
    )
    amount = step.add_mutually_exclusive_group()
    amount.add_argument("--minutes", type=float, help="about how long on two cores; fewer phantoms, fewer steps")
    amount.add_argument("--large", action="store_true", help="what a GPU beside 16 cores learns in ten minutes: LARGE")
    step.add_argument("--soup", type=Path, help="a bundle whose weights are mixed with those of the CNN, with --large")
    step.add_argument(
        "--cnn-only",
        action="store_true",
        help="end when the CNN has learnt; needs no TensorFlow (KERAS_BACKEND=jax), and goes on elsewhere from RUN",
    )


def _weights(steps: "Steps") -> None:
    step = steps.add_parser("weights", help="what --begin takes of a bundle where there is no TensorFlow")
    step.add_argument("--bundle", type=Path, default=Path("models/default"), help="folder of the bundle")
    step.add_argument("--out", type=Path, default=Path("runs/weights.npz"), help="the file")


def _phantoms(steps: "Steps") -> None:
    step = steps.add_parser("phantoms", help="an archive of phantoms in the layout of RSNA 2019")
    step.add_argument("--out", type=Path, default=Path("phantoms.zip"), help="the archive")
    step.add_argument("--studies", type=int, default=100, help="how many")
    step.add_argument("--seed", type=int, default=7_000_000, help="of the first study")
    step.add_argument("--size", type=int, choices=(256, 512), default=256, help="512 are interpolated from 256")
    step.add_argument("--traps", action="store_true", help="with the faults of the challenge's data")
    step.add_argument("--masks", action="store_true", help="with every slice's share of blood")
    step.add_argument("--broad", action="store_true", help="half of scanners, heads, brains and bleeds drawn harder")
    step.add_argument(
        "--small",
        type=_share,
        nargs="?",
        const=0.5,
        default=0.0,
        metavar="SHARE",
        help="half of what bleeds, or another share of it, as small as most of patients' is",
    )


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ArgumentTypeError(f"{text} is no share: one lies from 0 to 1")
    return share


def _gallery(steps: "Steps") -> None:
    step = steps.add_parser("gallery", help="the pictures of docs/phantoms")
    step.add_argument("--out", type=Path, default=Path("docs/phantoms"), help="folder of the pictures")
    step.add_argument("--real", type=Path, help="a real series to compare with, a folder of DICOM files")


def _recalibrate(steps: "Steps") -> None:
    step = steps.add_parser("recalibrate", help="new operating points for a bundle, without new weights")
    step.add_argument("bundle", type=Path, help="folder of the bundle")
    step.add_argument("--out", type=Path, help="folder of the new bundle; the bundle's own where it is missing")
    step.add_argument("--files", type=Path, help="a folder or zip of DICOM files to calibrate on, not phantoms")
    step.add_argument("--labels", type=Path, help="a CSV of what is in them; docs/training.md says how")
    step.add_argument("--run", type=Path, default=Path("runs/recalibrate"), help="folder that keeps features")
    step.add_argument(
        "--engine", choices=("tensorflow", "openvino"), default="tensorflow", help="of the CNN, by phantoms"
    )


def _plots(steps: "Steps") -> None:
    step = steps.add_parser("plots", help="a bundle's card as a page with pictures")
    step.add_argument("--bundle", type=Path, default=Path("models/default"), help="folder of the bundle")
    step.add_argument("--run", type=Path, help="folder of its training, for the plot of the learning")
    step.add_argument("--out", type=Path, default=Path("docs/default"), help="folder of the pictures")


def _ablate(steps: "Steps") -> None:
    step = steps.add_parser("ablate", help="short trainings of the CNN, each without one part")
    step.add_argument("--steps", type=int, default=500, help="of each training")
    step.add_argument("--run", type=Path, default=Path("runs/ablation"), help="folder of their checkpoints")
    step.add_argument("--out", type=Path, default=Path("docs/default"), help="folder of the figures")


def _evaluate_phantoms(steps: "Steps") -> None:
    step = steps.add_parser("evaluate-phantoms", help="a bundle's SavedModels on the fixed phantoms, as served")
    step.add_argument("--bundle", type=Path, default=Path("models/default"), help="folder of the bundle")
    step.add_argument("--real", type=Path, help="also what it says of real series, a folder of DICOM files")
    step.add_argument("--out", type=Path, default=Path("runs/measured"), help="folder of the figures and plots")


def _implant(steps: "Steps") -> None:
    step = steps.add_parser("implant", help="blood put into a real series without any: does a bundle find it?")
    step.add_argument("series", type=Path, help="a folder of the DICOM files of one head CT in which nothing bleeds")
    step.add_argument("--bundle", type=Path, default=Path("models/default"), help="folder of the bundle")
    step.add_argument("--each", type=int, default=20, help="haemorrhages of every kind")
    step.add_argument("--out", type=Path, default=Path("runs/implanted"), help="folder of the figures and the picture")


def _samples(steps: "Steps") -> None:
    step = steps.add_parser("samples", help="the synthetic sample series and slice")
    step.add_argument("--out", type=Path, default=Path("samples"), help="folder of the samples")


_PHANTOMS = (
    _default,
    _recalibrate,
    _weights,
    _phantoms,
    _gallery,
    _plots,
    _ablate,
    _evaluate_phantoms,
    _implant,
    _samples,
)
