"""The steps of training, by name."""

import argparse
import logging
import os
import pkgutil
import signal
import sys
from collections.abc import Callable

from training.cli.phantom_options import add_steps
from training.io.errors import TrainingError


def main() -> None:
    """Read the command line and run one step."""
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and measure the networks.")
    add_steps(parser.add_subparsers(dest="step", required=True, metavar="step"))
    try:
        _start(parser.parse_args())
    except TrainingError as reason:
        sys.exit(str(reason))
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from what it has kept.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _start(arguments: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of graphs made anew for another bundle
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    # A step's modules are imported only here: TensorFlow takes seconds, and the processes that make phantoms
    # import this module again.
    run: Callable[[argparse.Namespace], None] = pkgutil.resolve_name(
        f"training.cli.steps:{arguments.step.replace('-', '_')}"
    )
    run(arguments)


if __name__ == "__main__":
    main()
