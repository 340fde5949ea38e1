"""What the command line's steps from shards to a bundle do with their arguments."""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from training.bundle.verify import verify as verified
from training.configs.plan import Plan, load_plan
from training.evaluate.bundle_on_files import measure_site
from training.io.errors import TrainingError
from training.rsna.archive import open_archive
from training.rsna.folds import write_folds
from training.rsna.index import build_index
from training.rsna.pack import pack_archive
from training.runs.context import Options
from training.runs.measure import write_page
from training.runs.rsna import Learning, deterministic
from training.runs.run import Run

LOG = logging.getLogger(__name__)
SHIPPED = Path("models/default")
STEPS = ("cnn", "features", "rnn", "calibrate", "evaluate")


def run_step(arguments: argparse.Namespace) -> None:
    """Do one step in the run's folder."""
    learning = _learning(arguments, arguments.data)
    if arguments.step == "submit":
        learning.submit(arguments.archive)
    elif arguments.step == "export":
        learning.export(arguments.out)
    else:
        getattr(learning, arguments.step)()


def evaluate(arguments: argparse.Namespace) -> None:
    """Measure a run, or a bundle on a site's own data."""
    if not (arguments.bundle or arguments.files or arguments.labels):
        run_step(arguments)
        return
    if not (arguments.files and arguments.labels):
        raise TrainingError("A bundle is measured on --files, by --labels: give both.")
    card = measure_site(arguments.bundle or SHIPPED, arguments.files, arguments.labels)
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_page(card, arguments.out)
    LOG.info("evaluate: the figures are in %s", arguments.out)


def run_all(arguments: argparse.Namespace) -> None:
    """From the archive to a verified bundle."""
    archive, data = open_archive(arguments.archive), arguments.data
    index, folds, shards = data / "index.parquet", data / "folds.parquet", data / "shards"
    data.mkdir(parents=True, exist_ok=True)
    build_index(archive, index)
    write_folds(index, folds, folds=arguments.folds, seed=0)
    pack_archive(archive, index, folds, shards)
    learning = _learning(arguments, shards)
    for name in STEPS:
        getattr(learning, name)()
    learning.submit(arguments.archive)
    learning.export(arguments.out)
    verify(argparse.Namespace(bundle=arguments.out or learning.run.path("bundle")))


def verify(arguments: argparse.Namespace) -> None:
    """Say what was checked of a bundle."""
    for words in verified(arguments.bundle):
        LOG.info("%s", words)


def _learning(arguments: argparse.Namespace, shards: Path) -> Learning:
    if not tf.config.list_physical_devices("GPU"):
        deterministic()
    plan = _plan(arguments)
    run = Run(arguments.run or Path("runs") / Path(arguments.config).stem)
    run.open(plan)
    return Learning(plan, shards, run, Options(arguments.steps, arguments.limit, arguments.save_s))


def _plan(arguments: argparse.Namespace) -> Plan:
    """The configuration with what the command line puts in its place."""
    plan = load_plan(arguments.config)
    cnn = replace(plan.cnn, batch=arguments.batch) if arguments.batch else plan.cnn
    if arguments.init:
        cnn = replace(cnn, init=None if arguments.init == "fresh" else arguments.init)
    return replace(plan, cnn=cnn)
