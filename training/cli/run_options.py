"""Options of the steps from shards to a bundle."""

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # argparse names it nowhere else

    Steps = _SubParsersAction[ArgumentParser]

_HELP: Final = {
    "cnn": "train the CNN on the slices of shards; prints slices a second and the hours for all of RSNA",
    "features": "every slice's feature vector, as float16 on disk",
    "rnn": "train the RNN on the features",
    "calibrate": "temperatures and operating points, on the validation fold",
    "evaluate": "measure a run on the held-out fold, or a bundle on --files of your own with --labels",
    "submit": "the challenge's table for the test slices",
    "export": "the bundle; refused where it does not answer as the trained networks do",
}


def add_learning(steps: "Steps") -> None:
    """Add the steps that work in a run's folder, the `whole` way in turn, and `verify`."""
    for name, words in _HELP.items():
        step = steps.add_parser(name, help=words)
        step.add_argument("--data", type=Path, default=Path("data/shards"), help="folder of the shards")
        _add_run(step)
        _ADD.get(name, lambda _: None)(step)
    _whole(steps)
    verify = steps.add_parser("verify", help="check a bundle's hashes and replay the answers that it carries")
    verify.add_argument("bundle", type=Path, help="its folder")


def _add_run(step: ArgumentParser) -> None:
    step.add_argument("--config", default="rsna", help="source, rsna, smoke, or a Python file with CONFIG")
    step.add_argument("--run", type=Path, help="folder of the run; runs/ and the configuration's name unless told")
    step.add_argument("--steps", type=int, help="so many steps of CNN and RNN, instead of the configuration's")
    step.add_argument("--batch", type=int, help="slices of a CNN's step, instead of the configuration's")
    step.add_argument("--init", help="where the CNN's weights begin, instead of the configuration's; fresh for nowhere")
    step.add_argument("--limit", type=int, help="no more series than this of each part, for a trial")
    step.add_argument("--save-s", type=float, default=600, help="seconds between two checkpoints of the CNN")


def _evaluate(step: ArgumentParser) -> None:
    step.add_argument("--bundle", type=Path, help="the bundle to measure on --files: models/default unless given")
    step.add_argument(
        "--files", type=Path, help="a folder or zip of DICOM files; measure a bundle on them instead of a run"
    )
    step.add_argument("--labels", type=Path, help="a CSV of what is in them; docs/training.md says how")
    step.add_argument("--out", type=Path, default=Path("runs/site"), help="folder of the bundle's figures and page")


def _submit(step: ArgumentParser) -> None:
    step.add_argument("--archive", type=Path, help="the challenge's; unreadable test slices get the base rates")


def _export(step: ArgumentParser) -> None:
    step.add_argument("--out", type=Path, help="folder of the bundle; in the run's folder unless told")


_ADD: Final = {"evaluate": _evaluate, "submit": _submit, "export": _export}


def _whole(steps: "Steps") -> None:
    step = steps.add_parser("whole", help="index to verify, one step after the other; what is done is passed over")
    step.add_argument("archive", type=Path, help="the challenge's zip or folder")
    step.add_argument("--data", type=Path, default=Path("data"), help="folder of index, folds and shards")
    step.add_argument("--folds", type=int, default=5, help="how many")
    step.add_argument("--out", type=Path, help="folder of the bundle; in the run's folder unless told")
    _add_run(step)
