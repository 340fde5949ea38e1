"""Commands that work in a run's folder: from shards to a bundle, and the default bundle from phantoms."""

import json
import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from services.common.engines import EngineSetting
from training.cli.parameters import JoinCount, PartText, chosen_part, help_text
from training.io.errors import TrainingError
from training.io.parts import read_part

if TYPE_CHECKING:  # these load TensorFlow
    from training.configs.config import Config
    from training.runs.rsna import RunSteps

LOG = logging.getLogger(__name__)
SHARDS = Path("data/shards")
Shards = Annotated[Path, Parameter(help="Folder of the shards.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class RunFlags:
    """Options of every step of a run. Most of them replace those of the configuration."""

    config: Annotated[str, help_text("source, rsna, smoke, or a Python file that defines CONFIG.")] = "rsna"
    run: Annotated[Path | None, help_text("Folder of the run; runs/ and the configuration's name by default.")] = None
    steps: Annotated[int | None, help_text("Steps of the CNN and of the RNN.")] = None
    batch: Annotated[int | None, help_text("Slices in a batch of the CNN.")] = None
    init: Annotated[str | None, help_text("Initial weights: imagenet, wheel, fresh, a file or a bundle.")] = None
    limit: Annotated[int | None, help_text("Largest number of series in each part, for a trial.")] = None
    save_s: Annotated[float, help_text("Seconds between two checkpoints of the CNN.")] = 600


FLAGS = RunFlags()


def open_run(flags: RunFlags, shards: Path, log: str = "log.txt", *, writes: bool = True) -> "RunSteps":
    """Open a run's folder with its configuration and the file `log`; deterministic where there is no GPU.

    Raises
    ------
    TrainingError
        there is no such configuration
    """
    import tensorflow as tf

    from training.configs.config import load_config
    from training.runs.context import RunOptions
    from training.runs.rsna import RunSteps, make_deterministic
    from training.runs.run import Run

    if not tf.config.list_physical_devices("GPU"):
        make_deterministic()
    config = load_config(flags.config)
    cnn = replace(config.cnn, batch=flags.batch or config.cnn.batch)
    if flags.init:
        cnn = replace(cnn, init=None if flags.init == "fresh" else flags.init)
    config = replace(config, cnn=cnn)
    run = Run(flags.run or Path("runs") / Path(flags.config).stem)
    if writes:
        run.open(config, log)
    return RunSteps(config, shards, run, RunOptions(flags.steps, flags.limit, flags.save_s))


def cnn(
    *,
    data: Shards = SHARDS,
    flags: RunFlags = FLAGS,
    process: Annotated[str | None, help_text("Train with others as process k of n, given as k/n (JAX).")] = None,
    coordinator: Annotated[str | None, help_text("Address of process 1 for the others, host:port.")] = None,
) -> None:
    """Train the CNN on the slices of shards; prints slices a second and the hours for all of RSNA."""
    if bool(process) != bool(coordinator):
        raise TrainingError("--process and --coordinator belong together: give both, or neither for one process.")
    if not process or not coordinator:
        open_run(flags, data).cnn()
        return
    from training.train.processes import together

    own = read_part(process)
    with together(coordinator, own) as processes:
        open_run(flags, data, writes=processes.leads).cnn(processes)


def features(*, data: Shards = SHARDS, flags: RunFlags = FLAGS, part: PartText = None, join: JoinCount = None) -> None:
    """Write every slice's feature vector as float16."""
    own = chosen_part(part, join)
    run = open_run(flags, data, f"log-features-{own.number}-of-{own.count}.txt" if own else "log.txt")
    from training.runs.features_in_parts import features_part, join_features

    if own:
        features_part(run, own)
    elif join is not None:
        join_features(run, join)
    else:
        run.features()


def rnn(*, data: Shards = SHARDS, flags: RunFlags = FLAGS) -> None:
    """Train the RNN on the features."""
    open_run(flags, data).rnn()


def calibrate(*, data: Shards = SHARDS, flags: RunFlags = FLAGS) -> None:
    """Fit temperatures and operating points on the validation fold."""
    open_run(flags, data).calibrate()


def submit(
    *,
    data: Shards = SHARDS,
    flags: RunFlags = FLAGS,
    archive: Annotated[
        Path | None, help_text("The challenge's archive; its unreadable test slices get the base rates.")
    ] = None,
) -> None:
    """Write the challenge's submission for the test slices."""
    open_run(flags, data).submit(archive)


def export(
    *,
    data: Shards = SHARDS,
    flags: RunFlags = FLAGS,
    out: Annotated[Path | None, help_text("Folder of the bundle; in the run's folder by default.")] = None,
) -> None:
    """Write the bundle; fails where its predictions differ from those of the trained networks."""
    open_run(flags, data).export(out)


def whole(
    archive: Annotated[Path, help_text("The challenge's zip or folder.")],
    /,
    *,
    data: Annotated[Path, help_text("Folder of index, folds and shards.")] = Path("data"),
    folds: Annotated[int, help_text("Number of folds.")] = 5,
    out: Annotated[Path | None, help_text("Folder of the bundle; in the run's folder by default.")] = None,
    flags: RunFlags = FLAGS,
) -> None:
    """Run all steps from the archive to a verified bundle; skips finished steps."""
    from training.cli import bundle, rsna

    index, dealt, shards = data / "index.parquet", data / "folds.parquet", data / "shards"
    rsna.index(archive, out=index)
    rsna.folds(index=index, out=dealt, folds=folds)
    rsna.shards(archive, index=index, folds=dealt, out=shards)
    run = open_run(flags, shards)
    for step in (run.cnn, run.features, run.rnn, run.calibrate, run.evaluate):
        step()
    run.submit(archive)
    run.export(out)
    bundle.verify(out or run.run.path("bundle"))


def default(
    *,
    out: Annotated[Path, help_text("Folder of the bundle.")] = Path("models/default"),
    run: Annotated[Path, help_text("Folder of the checkpoints; a training resumes from it.")] = Path("runs/default"),
    begin: Annotated[Path | None, help_text("Bundle of the CNN's initial weights, or a file of `weights`.")] = None,
    minutes: Annotated[float | None, help_text("Approximate duration on two cores; not with --large.")] = None,
    large: Annotated[bool, help_text("Use the configuration for a GPU beside 16 cores.")] = False,
    soup: Annotated[Path | None, help_text("Bundle to interpolate weights with; needs --large.")] = None,
    cnn_only: Annotated[bool, help_text("Stop after the CNN, which needs no TensorFlow (KERAS_BACKEND=jax).")] = False,
) -> None:
    """Train the default bundle on synthetic phantoms, measure and export it."""
    config = _default_config(begin=begin, minutes=minutes, large=large, soup=soup)
    weights_alone = begin is not None and begin.is_file()
    if weights_alone and not cnn_only:
        raise TrainingError("--begin with a file of weights needs --cnn-only: a bundle's card names its first CNN.")
    if cnn_only:
        _train_cnn(config, run, begin)
        return
    from training.runs.default import build_default

    metrics = build_default(config, out, run, begin, soup).metrics
    for level in ("slice", "series"):
        LOG.info("%s: %s %s", out, level, json.dumps(metrics[level]["any"]))


def _default_config(*, begin: Path | None, minutes: float | None, large: bool, soup: Path | None) -> "Config":
    from training.configs.default import CONFIG, LARGE, MINUTES, MORE

    if soup and not large:
        raise TrainingError("--soup needs --large: no other configuration gives the weight of the second bundle.")
    if minutes and large:
        raise TrainingError("--minutes and --large exclude each other: give one of them.")
    config = LARGE if large else MORE if begin else CONFIG
    command = config.card.command
    if minutes:
        config, command = config.scaled(minutes / MINUTES), f"{command} --minutes {minutes:g}"
    if large:
        command += " --begin BUNDLE" * bool(begin) + " --soup BUNDLE" * bool(soup)
    return replace(config, card=replace(config.card, command=command))


def _train_cnn(config: "Config", run: Path, begin: Path | None) -> None:
    from training.train.initial_weights import load_bundle, load_weights
    from training.train.phantom_cnn import fit_config_cnn

    load = load_weights if begin and begin.is_file() else load_bundle
    fit_config_cnn(config, run, partial(load, begin) if begin else None)


def recalibrate(
    bundle: Annotated[Path, help_text("Folder of the bundle.")],
    /,
    *,
    out: Annotated[Path | None, help_text("Folder of the new bundle; the bundle's own by default.")] = None,
    files: Annotated[Path | None, help_text("Folder or zip of DICOM files to use instead of phantoms.")] = None,
    labels: Annotated[Path | None, help_text("CSV of their labels, see docs/how-to/recalibrate.md.")] = None,
    run: Annotated[Path, help_text("Folder of the feature cache.")] = Path("runs/recalibrate"),
    engine: Annotated[EngineSetting, help_text("Engine of the CNN, for phantoms.")] = "auto",
) -> None:
    """Fit new operating points for a bundle; its weights stay."""
    from training.runs.recalibrate import recalibrate_by_files, recalibrate_by_phantoms

    if bool(files) != bool(labels):
        raise TrainingError("--files and --labels belong together: give both, or neither for a bundle of phantoms.")
    out = out or bundle
    if files and labels:
        card = recalibrate_by_files(bundle, out, files, labels)
    else:
        card = recalibrate_by_phantoms(bundle, out, run, engine)
    for point, thresholds in card.thresholds.items():
        LOG.info("%s: %s: slice %s", out, point, json.dumps(thresholds.slice))
        LOG.info("%s: %s: series %s", out, point, json.dumps(thresholds.series))
