"""What each part is worth: short trainings of the CNN, each without one part, scored on the fixed phantoms.

All are scored by the CNN's own logits: what the RNN adds to them stands in a bundle's page, under `cnn`.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import pyplot as plt

from services.common.labels import LABELS
from training.data.pictures import Pictures, iterate_pictures
from training.data.series import as_series
from training.evaluate.metrics import auc as area
from training.evaluate.metrics import aucs, interval
from training.evaluate.predictions import predict_by_cnn, score_levels
from training.evaluate.test_set import TEST
from training.io.files import write_json
from training.io.plotting import save_plot
from training.networks.cnn import CnnShape
from training.networks.extractor import extractor
from training.options.cnn import CnnOptions
from training.options.stream import StreamOptions
from training.phantom.study_options import StudyOptions, StudyRequest
from training.train.phantom_cnn import fit_phantom_cnn

LOG = logging.getLogger(__name__)
SMALL: Final = CnnShape()
Change = Callable[[CnnOptions], CnnOptions]


def _with_options(options: StudyOptions) -> Change:
    return lambda fit: replace(fit, stream=replace(fit.stream or StreamOptions(), options=options))


VARIANTS: Final[dict[str, Change]] = {
    "everything": lambda fit: fit,
    "without the borders of bone": _with_options(StudyOptions(borders=False)),
    "without mimics": _with_options(StudyOptions(mimic=False)),
    "without masks": lambda fit: replace(fit, blood_weight=0.0),
}


def ablate(
    fit: CnnOptions,
    run: Path,
    out: Path,
    *,
    shape: CnnShape = SMALL,
    variants: Mapping[str, Change] = VARIANTS,
    wanted: Sequence[StudyRequest] = TEST,
) -> None:
    """Train all variants of a small network with the same steps, and write `ablation.json` and `ablation.svg`."""
    tested = list(iterate_pictures(wanted, name="phantoms to measure on"))
    found = {}
    for name, change in variants.items():
        cnn, _ = fit_phantom_cnn(shape, change(fit), run / name.replace(" ", "-"))
        found[name] = _scored(extractor(cnn), cnn.last, tested)
        LOG.info("%s: %s", name, json.dumps(found[name]["slice_auc"]))
    slices = fit.stream.slices_by(fit.steps) if fit.stream and fit.steps else 0
    figures = {"steps": fit.steps, "batch": fit.batch, "phantom_slices": slices, "cnn": found}
    write_json(out / "ablation.json", figures)
    _plot(found, out / "ablation.svg")


def _scored(extract: Any, last: Any, tested: Sequence[Pictures]) -> dict[str, Any]:
    studies = [series for made in tested for series in as_series(made, extract(made.small))]
    slices, series = score_levels(studies, predict_by_cnn(last, studies))
    return {
        "slice_auc": aucs(slices),
        "slice_any_auc_95_interval": interval(area, *slices.of(0)),
        "series_auc": aucs(series),
    }


def _plot(found: dict[str, Any], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
    for number, (name, figures) in enumerate(found.items()):
        places = np.arange(len(LABELS)) + 0.2 * number - 0.3
        axes.bar(places, [figures["slice_auc"][label] or np.nan for label in LABELS], 0.18, label=name)
    axes.set(title="AUC by slice of the small CNN after a short training", ylim=(0.5, 1.0), xticks=range(len(LABELS)))
    axes.set_xticklabels(LABELS)
    axes.legend(frameon=False, fontsize="small", ncols=2)
    save_plot(figure, path)
