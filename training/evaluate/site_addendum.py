"""An evaluation of a bundle on a site's files, as an addendum that can be attached to the bundle."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.common.addenda import Addendum, LabelFigures, LevelFigures, PointFigures
from services.common.card import Bundle
from services.common.labels import LABELS
from services.common.operating_points import LEVELS, Points
from services.common.timestamps import utc_now
from services.common.version import VERSION
from training.evaluate.apply_thresholds import predict_studies
from training.evaluate.bundle_on_files import PredictedSeries, SiteMeasurement, scored_levels
from training.evaluate.metrics import Predicted, ScoredLabels


def site_addendum(bundle: Bundle, measured: SiteMeasurement) -> Addendum:
    """The addendum of a measurement: counts and rates of every label at every operating point, by slice and series."""
    metrics, created = measured.card.metrics, utc_now()
    figures = site_figures(measured.predicted, bundle.card.thresholds, metrics)
    digest = sha256(f"{bundle.card_sha256} {created} {figures.model_dump_json()}".encode()).hexdigest()
    return Addendum(
        id=f"{created[:10]}-{digest[:8]}",
        bundle=bundle.card.name,
        card_sha256=bundle.card_sha256,
        created=created,
        software=VERSION,
        data=metrics["data"],
        patients=metrics["patients"],
        series=metrics["studies"],
        slices=metrics["slices"],
        left_out=metrics["left_out"],
        figures=figures,
    )


def site_figures(predicted: Sequence[PredictedSeries], points: Points, metrics: Mapping[str, Any]) -> LevelFigures:
    """Counts of these series; AUC and its interval are those of `metrics`."""
    slices, series, lengths = scored_levels(predicted)
    rows = {point: predict_studies(slices.scores, series.scores, lengths, at) for point, at in points.items()}
    levels = {}
    for level, scored in zip(LEVELS, (slices, series), strict=True):
        present = {point: getattr(found, level) for point, found in rows.items()}
        levels[level] = {
            label: _label(scored, present, column, metrics[level][label]) for column, label in enumerate(LABELS)
        }
    return LevelFigures.model_validate(levels)


def _label(scored: ScoredLabels, predicted: Predicted, column: int, metrics: Mapping[str, Any]) -> LabelFigures:
    known = scored.label_mask[:, column]
    truth = scored.truth[known, column]
    return LabelFigures(
        positives=int(truth.sum()),
        negatives=int((~truth).sum()),
        auc=metrics["auc"],
        auc_95_interval=tuple(metrics["auc_95_interval"]),
        points={point: point_figures(rows[known, column], truth) for point, rows in predicted.items()},
    )


def point_figures(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> PointFigures:
    """Counts and rates of one label, (m,) each."""
    tp, fp = int((predicted & truth).sum()), int((predicted & ~truth).sum())
    fn, tn = int(truth.sum()) - tp, int((~truth).sum()) - fp
    return PointFigures.of(tp, fp, tn, fn)
