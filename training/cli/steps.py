"""What the steps of the command line do with its arguments."""

import argparse
import json
import logging
import pkgutil
from dataclasses import replace
from functools import partial

from training.io.errors import TrainingError

LOG = logging.getLogger(__name__)

# -- from the archive to shards ----------------------------------------------------------------------------------------


def download(arguments: argparse.Namespace) -> None:
    """Fetch the archive from Kaggle."""
    pkgutil.resolve_name("training.rsna.download:download")(arguments.out)


def index(arguments: argparse.Namespace) -> None:
    """Read every header of an archive."""
    archive = pkgutil.resolve_name("training.rsna.archive:open_archive")(arguments.archive)
    pkgutil.resolve_name("training.rsna.index:build_index")(archive, arguments.out, processes=arguments.processes)


def folds(arguments: argparse.Namespace) -> None:
    """Deal the patients of an index."""
    write = pkgutil.resolve_name("training.rsna.folds:write_folds")
    write(arguments.index, arguments.out, folds=arguments.folds, seed=arguments.seed)


def shards(arguments: argparse.Namespace) -> None:
    """Pack the slices of an index."""
    archive = pkgutil.resolve_name("training.rsna.archive:open_archive")(arguments.archive)
    pack = pkgutil.resolve_name("training.rsna.pack:pack_archive")
    pack(archive, arguments.index, arguments.folds, arguments.out, processes=arguments.processes)


# -- from shards to a bundle -------------------------------------------------------------------------------------------


def learn(arguments: argparse.Namespace) -> None:
    """Do one step of a run."""
    pkgutil.resolve_name("training.cli.run_commands:run_step")(arguments)


cnn = features = rnn = calibrate = submit = export = learn


def evaluate(arguments: argparse.Namespace) -> None:
    """Measure a run, or a bundle on a site's own data."""
    pkgutil.resolve_name("training.cli.run_commands:evaluate")(arguments)


def whole(arguments: argparse.Namespace) -> None:
    """Go from the archive to a verified bundle."""
    pkgutil.resolve_name("training.cli.run_commands:run_all")(arguments)


def verify(arguments: argparse.Namespace) -> None:
    """Check a bundle."""
    pkgutil.resolve_name("training.cli.run_commands:verify")(arguments)


# -- phantoms, and the bundle made of them -----------------------------------------------------------------------------


def default(arguments: argparse.Namespace) -> None:
    """Train the default bundle."""
    chosen = "LARGE" if arguments.large else "MORE" if arguments.begin else "CONFIG"
    if arguments.soup and not arguments.large:
        raise TrainingError("--soup goes with --large: no other configuration says how much of a bundle is mixed in.")
    alone = arguments.begin is not None and arguments.begin.is_file()
    if alone and not arguments.cnn_only:
        raise TrainingError(
            "--begin with a file of weights needs --cnn-only: a bundle's card names the CNN it began as."
        )
    config, minutes = (pkgutil.resolve_name(f"training.configs.default:{name}") for name in (chosen, "MINUTES"))
    if arguments.minutes:
        command = f"{config.words.command} --minutes {arguments.minutes:g}"
        config = replace(config.scaled(arguments.minutes / minutes), words=replace(config.words, command=command))
    others = [name for name in ("begin", "soup") if arguments.large and getattr(arguments, name)]
    command = " ".join([config.words.command, *(f"--{name} BUNDLE" for name in others)])
    config = replace(config, words=replace(config.words, command=command))
    if arguments.cnn_only:
        where = "training.train.phantom_cnn:begin_from_weights" if alone else "training.train.bundle_weights:begin_from"
        begin = arguments.begin and partial(pkgutil.resolve_name(where), arguments.begin)
        pkgutil.resolve_name("training.train.validation:fit_watched")(config, arguments.run, begin)
        return
    build = pkgutil.resolve_name("training.runs.default:build")
    card = build(config, arguments.out, arguments.run, arguments.begin, arguments.soup)
    metrics = card.metrics
    LOG.info("%s: slices %s", arguments.out, json.dumps(metrics["slice"]["any"]))
    LOG.info("%s: series %s", arguments.out, json.dumps(metrics["series"]["any"]))


def weights(arguments: argparse.Namespace) -> None:
    """Write the weights of a bundle's CNN alone."""
    shape = pkgutil.resolve_name("training.configs.default:CONFIG").cnn_shape
    pkgutil.resolve_name("training.train.bundle_weights:keep_weights")(arguments.bundle, shape, arguments.out)


def phantoms(arguments: argparse.Namespace) -> None:
    """Write an archive of phantoms."""
    order = pkgutil.resolve_name("training.phantom.study_options:Order")(broad=arguments.broad, small=arguments.small)
    plan = pkgutil.resolve_name("training.phantom.rsna_archive:Plan")(
        arguments.studies,
        arguments.seed,
        traps=arguments.traps,
        masks=arguments.masks,
        size=arguments.size,
        order=order,
    )
    pkgutil.resolve_name("training.phantom.rsna_archive:write_archive")(arguments.out, plan)


def gallery(arguments: argparse.Namespace) -> None:
    """Draw the phantoms' pictures."""
    pkgutil.resolve_name("training.research.gallery:draw")(arguments.out, arguments.real)


def recalibrate(arguments: argparse.Namespace) -> None:
    """Choose a bundle's operating points anew."""
    out = arguments.out or arguments.bundle
    if bool(arguments.files) != bool(arguments.labels):
        raise TrainingError("--files goes with --labels: give both, or neither for a bundle of phantoms.")
    if arguments.files:
        by_files = pkgutil.resolve_name("training.runs.recalibrate:recalibrate_by_files")
        card = by_files(arguments.bundle, out, arguments.files, arguments.labels)
    else:
        by_phantoms = pkgutil.resolve_name("training.runs.recalibrate:recalibrate_by_phantoms")
        card = by_phantoms(arguments.bundle, out, arguments.run, arguments.engine)
    for point, thresholds in card.thresholds.items():
        LOG.info("%s: %s: slice %s", out, point, json.dumps(thresholds.slice))
        LOG.info("%s: %s: series %s", out, point, json.dumps(thresholds.series))


def plots(arguments: argparse.Namespace) -> None:
    """Draw a bundle's figures, and write the page around them."""
    card = pkgutil.resolve_name("services.common.card:open_bundle")(arguments.bundle).card
    pkgutil.resolve_name("training.bundle.plots:draw")(card, arguments.run, arguments.out)
    text = pkgutil.resolve_name("training.bundle.card:page")(card, arguments.out)
    arguments.out.with_suffix(".md").write_text(text)


def evaluate_phantoms(arguments: argparse.Namespace) -> None:
    """Measure a bundle as it is served."""
    metrics = pkgutil.resolve_name("training.evaluate.bundle_on_phantoms:measure_bundle")(arguments.bundle)
    if arguments.real:
        real = pkgutil.resolve_name("training.evaluate.bundle_on_phantoms:ask_of_real")(
            arguments.bundle, arguments.real
        )
        metrics["real"] = real
        LOG.info("real series: %s", json.dumps(real))
    card = pkgutil.resolve_name("services.common.card:open_bundle")(arguments.bundle).card
    pkgutil.resolve_name("training.bundle.plots:draw")(
        card.model_copy(update={"metrics": metrics}), None, arguments.out
    )
    (arguments.out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    table = pkgutil.resolve_name("training.evaluate.targets:table")(metrics)
    (arguments.out / "targets.md").write_text(table)
    LOG.info("%s:\n%s", arguments.out, table)


def implant(arguments: argparse.Namespace) -> None:
    """Put blood into a real series, and measure what a bundle makes of it."""
    measure = pkgutil.resolve_name("training.research.painted_blood_study:measure_implanted")
    found = measure(arguments.bundle, arguments.series, arguments.out, each=arguments.each)
    (arguments.out / "implanted.json").write_text(json.dumps(found, indent=1) + "\n")
    LOG.info("%s, without blood: %s", arguments.out, json.dumps(found["without"]))


def ablate(arguments: argparse.Namespace) -> None:
    """Train without one part at a time."""
    fit = pkgutil.resolve_name("training.options.cnn:CnnFit")(steps=arguments.steps)
    pkgutil.resolve_name("training.research.ablation:ablate")(fit, arguments.run, arguments.out)


def samples(arguments: argparse.Namespace) -> None:
    """Write the samples."""
    pkgutil.resolve_name("training.data.samples:write")(arguments.out)
