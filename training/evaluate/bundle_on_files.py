"""A bundle measured on a site's own DICOM files, as the services would assess them."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.common.card import Bundle, Card
from services.common.labels import LABELS, Label
from services.common.operating_points import Points
from services.common.schemas import SeriesHeader
from training.evaluate.card_metrics import level_metrics
from training.evaluate.labelled_files import KEY_WORDS, File, Row, Truth, any_of, of_slice, read_truth, site_files
from training.evaluate.metrics import ScoredLabels
from training.evaluate.served_bundle import ServedBundle
from training.io.errors import TrainingError
from training.io.progress import progress_bar
from training.phantom.dicom_files import SERIES_DESCRIPTION

LOG = logging.getLogger(__name__)
UNKNOWN: Final[Row] = (None,) * len(LABELS)


@dataclass(frozen=True, slots=True)
class LabelledSeries:
    """Labels of a series' slices and of the whole, None where they are not known, and its patient."""

    rows: tuple[Row, ...]
    whole: Row
    patient: str

    @property
    def unlabelled(self) -> bool:
        """Whether no label is known."""
        return all(value is None for row in (*self.rows, self.whole) for value in row)


@dataclass(frozen=True, slots=True)
class PredictedSeries:
    """Probabilities of a series' slices, (n, 6), and of the whole, (6,), beside its labels.

    phantom : whether its header says that this project made it
    """

    slices: NDArray[np.float32]
    series: NDArray[np.float32]
    labels: LabelledSeries
    phantom: bool = False


@dataclass(frozen=True, slots=True)
class SiteMeasurement:
    """The bundle's card with the metrics of a site's data in place of its own, and the predictions behind them."""

    card: Card
    predicted: Sequence[PredictedSeries]

    @property
    def phantoms(self) -> int:
        """The number of series that are phantoms of this project."""
        return sum(each.phantom for each in self.predicted)


def measure_site(bundle: Bundle, data: Path, table: Path) -> SiteMeasurement:
    """Measure a bundle on a site's files.

    Raises
    ------
    TrainingError
        files or table can't be read, or the table has no row of a series that was assessed
    """
    predicted, left_out = predict_site(bundle, data, table)
    metrics = {
        "data": f"a site's own, {data.name}",
        "left_out": dict(left_out),
        **site_metrics(predicted, bundle.card.thresholds),
    }
    for level, labels in metrics["labels_without_rows"].items():
        if labels:
            LOG.warning("no %s has a known label for %s: they have no metrics", level, ", ".join(labels))
    return SiteMeasurement(bundle.card.model_copy(update={"metrics": metrics}), predicted)


def predict_site(bundle: Bundle, data: Path, table: Path) -> tuple[list[PredictedSeries], Counter[str]]:
    """Predictions for every series of a site that has labels, and the number of files and series left out, by reason.

    Raises
    ------
    TrainingError
        files or table can't be read, or the table has no row of a series that was assessed
    """
    left_out: Counter[str] = Counter()
    truth = read_truth(table)
    predicted = list(_predict(bundle, site_files(data), truth, left_out))
    if not predicted:
        raise TrainingError(_no_series(data, table, truth, left_out))
    LOG.info("series measured: %d; left out: %s", len(predicted), _words(left_out) or "none")
    return predicted, left_out


def _predict(bundle: Bundle, files: Sequence[File], truth: Truth, left_out: Counter[str]) -> Iterator[PredictedSeries]:
    """Series by series, so that memory holds one."""
    with ServedBundle(bundle) as served:
        found = served.read_series(files)
        if found.copies:
            left_out["files that are copies"] = found.copies
        left_out["files set aside"] += len(found.headers.set_aside)
        with progress_bar("evaluate", len(found.headers.series), "series") as progress:
            for header in found.headers.series:
                labels = _labels(header, found.files, truth)
                prediction = None if labels.unlabelled else served.predict_series(found.files, header)
                if prediction is None:
                    left_out["without labels" if labels.unlabelled else "not assessed"] += 1
                else:
                    left_out["slices without labels"] += labels.rows.count(UNKNOWN)
                    yield PredictedSeries(*prediction, labels, _is_phantom(header))
                progress.update(1)


def _is_phantom(header: SeriesHeader) -> bool:
    return header.description is not None and header.description.series_description == SERIES_DESCRIPTION


def _labels(header: SeriesHeader, files: Sequence[File], truth: Truth) -> LabelledSeries:
    """The table's labels; a label that a series lacks is absent from all of its slices."""
    found = [of_slice(truth, item.sop_instance_uid, files[item.file].name) for item in header.items]
    whole = truth.rows.get(header.uid or "") if truth.key == "series_instance_uid" else None
    keys = [each[0] for each in found if each] + [header.uid or ""]
    patient = next((truth.patients[key] for key in keys if key in truth.patients), header.study_uid or header.uid or "")
    if whole is not None:
        return LabelledSeries(
            (tuple(False if value is False else None for value in whole),) * len(found), whole, patient
        )
    rows = tuple(each[1] if each else UNKNOWN for each in found)
    return LabelledSeries(rows, tuple(any_of(column) for column in zip(*rows, strict=True)), patient)


def site_metrics(predicted: Sequence[PredictedSeries], points: Points) -> dict[str, Any]:
    """The card's `metrics` of these series; `labels_without_rows` lists the labels without a known row."""
    slices, series, lengths = scored_levels(predicted)
    unknown = {"slice": _without_rows(slices), "series": _without_rows(series)}
    own = {"patients": int(series.study.max()) + 1, "labels_without_rows": unknown}
    return {**own, **level_metrics(slices, series, lengths, points), "beside": {}, "shifted": {}}


def scored_levels(predicted: Sequence[PredictedSeries]) -> tuple[ScoredLabels, ScoredLabels, list[int]]:
    """Scores and labels of all slices and of all series, and the number of slices of each series."""
    patients = np.unique([each.labels.patient for each in predicted], return_inverse=True)[1]
    lengths = [len(each.labels.rows) for each in predicted]
    slices = _scored(
        np.concatenate([each.slices for each in predicted]),
        [row for each in predicted for row in each.labels.rows],
        np.repeat(patients, lengths),
    )
    series = np.stack([each.series for each in predicted])
    return slices, _scored(series, [each.labels.whole for each in predicted], patients), lengths


def _without_rows(scored: ScoredLabels) -> list[Label]:
    return [label for column, label in enumerate(LABELS) if not scored.label_mask[:, column].any()]


def _scored(scores: NDArray[np.float32], rows: Sequence[Row], patients: NDArray[Any]) -> ScoredLabels:
    truth = np.array([[value is True for value in row] for row in rows])
    known = np.array([[value is not None for value in row] for row in rows])
    return ScoredLabels(scores, truth, known, patients)


def _words(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)


def _no_series(data: Path, table: Path, truth: Truth, left_out: Counter[str]) -> str:
    """The message without a series to measure; it holds no names of files, which may be patients'."""
    words = f"{table} has no row of a series in {data} that is assessed ({_words(left_out)})."
    if left_out["without labels"] and not left_out["not assessed"]:
        words += (
            f" None of its {len(truth.rows)} rows was found by its column {truth.key}, "
            f"which holds {KEY_WORDS[truth.key]}."
        )
    return words
