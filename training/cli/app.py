"""The command line: the list of commands, and how each of them ends.

A command is a function of a module of this package. Its parameters are its options; its docstring is its help. It
imports its step inside, so that `--help` and the processes that make phantoms load no TensorFlow.
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError, Parameter

from services.common.card import BundleError
from training.cli import bundle, evaluate, phantom, research, rsna, runs, train
from training.io.errors import TrainingError

USAGE_ERROR: Final = 2
COMMANDS: Final = (
    rsna.download,
    rsna.index,
    rsna.folds,
    rsna.shards,
    runs.cnn,
    runs.features,
    runs.rnn,
    runs.calibrate,
    evaluate.evaluate,
    runs.submit,
    runs.export,
    runs.whole,
    bundle.verify,
    bundle.sign,
    bundle.attach_evaluation,
    bundle.update_graph,
    runs.default,
    runs.recalibrate,
    train.weights,
    phantom.phantoms,
    phantom.samples,
    bundle.plots,
    evaluate.evaluate_phantoms,
    research.gallery,
    research.ablate,
    research.implant,
    research.thin_slices,
)


def build_app() -> App:
    """Return the command line with every command, in the order of its help."""
    app = App(
        name="python -m training",
        help="Train and measure the networks.",
        help_formatter="plain",
        version_flags=(),
        result_action="return_none",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=()),
    )
    for command in COMMANDS:
        app.command(command)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exit with 2 after a usage error, 1 after another error and 130 after Ctrl-C."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of functions traced again for another bundle
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        build_app()(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"{error} See `python -m training --help`.", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except (TrainingError, BundleError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Stopped. The same command resumes from its last checkpoint.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
