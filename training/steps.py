"""What the steps of the command line do with its arguments."""

import argparse
import json
import logging
import pkgutil
from dataclasses import replace

LOG = logging.getLogger(__name__)


def default(arguments: argparse.Namespace) -> None:
    """Train the default bundle."""
    build = pkgutil.resolve_name("training.bundle:build")
    config, minutes = (pkgutil.resolve_name(f"training.configs.default:{name}") for name in ("CONFIG", "MINUTES"))
    if arguments.minutes:
        command = f"{config.words.command} --minutes {arguments.minutes:g}"
        config = replace(config.scaled(arguments.minutes / minutes), words=replace(config.words, command=command))
    card = build(config, arguments.out, arguments.run)
    metrics = card.metrics
    LOG.info(
        "%s: slice AUC of any %s, baseline %s",
        arguments.out,
        metrics["slice"]["any"]["auc"],
        metrics["baseline_any_slice_auc"],
    )
    LOG.info("%s", json.dumps(metrics["slice"]["any"]))


def samples(arguments: argparse.Namespace) -> None:
    """Write the samples."""
    pkgutil.resolve_name("training.samples:write")(arguments.out)
