"""Commands that measure a run or a bundle."""

import json
import logging
from pathlib import Path
from typing import Annotated, Final

from training.cli.parameters import help_text
from training.cli.runs import FLAGS, SHARDS, RunFlags, Shards, open_run
from training.io.errors import TrainingError

LOG = logging.getLogger(__name__)
SHIPPED: Final = Path("models/default")


def evaluate(
    *,
    data: Shards = SHARDS,
    flags: RunFlags = FLAGS,
    bundle: Annotated[Path | None, help_text("Bundle to measure on --files; models/default by default.")] = None,
    files: Annotated[
        Path | None, help_text("Folder or zip of DICOM files to measure a bundle on, instead of a run.")
    ] = None,
    labels: Annotated[Path | None, help_text("CSV of their labels, see docs/how-to/measure-a-bundle.md.")] = None,
    out: Annotated[Path, help_text("Folder of the bundle's figures and page.")] = Path("runs/site"),
) -> None:
    """Measure a run on the held-out fold, or a bundle on DICOM files with labels."""
    if not (bundle or files or labels):
        open_run(flags, data).evaluate()
    elif files and labels:
        _measure_files(bundle or SHIPPED, files, labels, out)
    else:
        raise TrainingError("To measure a bundle, give both --files and --labels.")


def _measure_files(
    bundle: Annotated[Path, help_text("Folder of the bundle.")], files: Path, labels: Path, out: Path
) -> None:
    from training.bundle.attach_evaluation import ADDENDUM
    from training.evaluate.bundle_on_files import measure_site
    from training.evaluate.served_bundle import read_bundle
    from training.evaluate.site_addendum import site_addendum
    from training.runs.measure import write_page

    opened = read_bundle(bundle)
    measured = measure_site(opened, files, labels)
    out.mkdir(parents=True, exist_ok=True)
    write_page(measured.card, out)
    (out / ADDENDUM).unlink(missing_ok=True)
    if measured.phantoms:
        LOG.warning("%d series are phantoms: no %s is written, which is for patients", measured.phantoms, ADDENDUM)
    else:
        (out / ADDENDUM).write_text(site_addendum(opened, measured).model_dump_json(indent=1) + "\n")
        LOG.info("evaluate: attach the figures by `python -m training attach-evaluation %s %s`", bundle, out)
    LOG.info("evaluate: the figures are in %s", out)


def evaluate_phantoms(
    *,
    bundle: Annotated[Path, help_text("Folder of the bundle.")] = SHIPPED,
    real: Annotated[Path | None, help_text("Folder of DICOM files of real series to predict, too.")] = None,
    out: Annotated[Path, help_text("Folder of figures and plots.")] = Path("runs/measured"),
) -> None:
    """Measure a bundle on the fixed test phantoms, as the services run it."""
    from services.common.card import open_bundle
    from training.bundle.plots import draw
    from training.evaluate.bundle_on_phantoms import measure_bundle, predict_real
    from training.evaluate.targets import target_table
    from training.io.files import write_json

    metrics = measure_bundle(bundle)
    if real:
        metrics["real"] = predict_real(bundle, real)
        LOG.info("real series: %s", json.dumps(metrics["real"]))
    draw(open_bundle(bundle).card.model_copy(update={"metrics": metrics}), None, out)
    write_json(out / "metrics.json", metrics)
    targets = target_table(metrics)
    (out / "targets.md").write_text(targets)
    LOG.info("%s:\n%s", out, targets)
