"""Commands that measure a run or a bundle."""

import json
import logging
from pathlib import Path
from typing import Final

from training.cli.runs import FLAGS, SHARDS, RunFlags, Shards, open_run
from training.io.errors import TrainingError

LOG = logging.getLogger(__name__)
SHIPPED: Final = Path("models/default")


def evaluate(
    *,
    data: Shards = SHARDS,
    flags: RunFlags = FLAGS,
    bundle: Path | None = None,
    files: Path | None = None,
    labels: Path | None = None,
    out: Path = Path("runs/site"),
) -> None:
    """Measure a run on the held-out fold, or a bundle on DICOM files with labels.

    Parameters
    ----------
    bundle
        Folder of the bundle to measure on --files; models/default by default.
    files
        Folder or zip of DICOM files; measures a bundle on them instead of a run.
    labels
        CSV of their labels; docs/how-to/measure-a-bundle.md describes the format.
    out
        Folder of the bundle's figures and page.
    """
    if not (bundle or files or labels):
        open_run(flags, data).evaluate()
    elif files and labels:
        _measure_files(bundle or SHIPPED, files, labels, out)
    else:
        raise TrainingError("To measure a bundle, give both --files and --labels.")


def _measure_files(bundle: Path, files: Path, labels: Path, out: Path) -> None:
    from training.evaluate.bundle_on_files import measure_site
    from training.runs.measure import write_page

    card = measure_site(bundle, files, labels)
    out.mkdir(parents=True, exist_ok=True)
    write_page(card, out)
    LOG.info("evaluate: the figures are in %s", out)


def evaluate_phantoms(*, bundle: Path = SHIPPED, real: Path | None = None, out: Path = Path("runs/measured")) -> None:
    """Measure a bundle on the fixed test phantoms, as the services run it.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    real
        Folder of DICOM files; also reports the predictions on these real series.
    out
        Folder of figures and plots.
    """
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
