"""A bundle measured on a site's own data, as the services would answer: their pixels, networks and acceptance rules."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.cnn.model import SavedModelExtractor
from services.common.acceptance import is_refused, pixel_reasons
from services.common.card import Bundle, BundleError, Card, open_bundle
from services.common.labels import LABELS, Label
from services.common.operating_points import Points
from services.common.schemas import HeadersReport, SeriesHeader
from services.common.slabs import SlabPlan, plan_series
from services.common.sop_instances import classify_shared_files, files_sharing_instances
from services.preprocess.pipeline import Pipeline
from services.rnn.model import SavedModelScorer
from training.evaluate.labelled_files import KEY_WORDS, File, Row, Truth, any_of, of_slice, read_truth, site_files
from training.evaluate.metrics import ScoredLabels
from training.evaluate.predictions import usual_figures
from training.evaluate.served_series import made_in_turn, score_by_slice
from training.io.errors import TrainingError
from training.io.progress import progress_bar

LOG = logging.getLogger(__name__)
HEAD_BYTES: Final = 256 * 1024
UNKNOWN: Final[Row] = (None,) * len(LABELS)


@dataclass(frozen=True, slots=True)
class Answered:
    """One series: the answer, the truth of its slices and of itself, and whose it is."""

    slices: NDArray[np.float32]
    series: NDArray[np.float32]
    truth: tuple[Row, ...]
    whole: Row
    patient: str


def measure_site(folder: Path, data: Path, table: Path) -> Card:
    """The bundle's card with the figures of these data in place of its own.

    Raises
    ------
    TrainingError
        bundle, files or table can't be read, or the table speaks of no series that was assessed
    """
    bundle = opened(folder)
    answered, counts = answers_to(bundle, data, table)
    metrics = {
        "data": f"a site's own, {data.name}",
        "left_out": dict(counts),
        **figures_of(answered, bundle.card.thresholds),
    }
    for level, labels in metrics["labels_without_rows"].items():
        if labels:
            LOG.warning("no %s has a known row of %s: no figures of these", level, ", ".join(labels))
    return bundle.card.model_copy(update={"metrics": metrics})


def opened(folder: Path) -> Bundle:
    """The bundle in a folder; TrainingError where there is none that its card matches."""
    try:
        return open_bundle(folder)
    except BundleError as error:
        raise TrainingError(f"{error}.") from None


def answers_to(bundle: Bundle, data: Path, table: Path) -> tuple[list[Answered], Counter[str]]:
    """What a bundle says of every series of a site that its table speaks of, and what was left out.

    Raises
    ------
    TrainingError
        files or table can't be read, or the table speaks of no series that was assessed
    """
    counts: Counter[str] = Counter()
    truth = read_truth(table)
    answered = list(_answered(bundle, site_files(data), truth, counts))
    if not answered:
        raise TrainingError(_none_answered(data, table, truth, counts))
    LOG.info("series measured: %d; left out: %s", len(answered), _words(counts) or "none")
    return answered, counts


def _answered(bundle: Bundle, files: Sequence[File], truth: Truth, counts: Counter[str]) -> Iterator[Answered]:
    """Series by series, so that memory holds one."""
    extractor = SavedModelExtractor(bundle.saved_model("cnn"))
    scorer = SavedModelScorer(bundle.saved_model("rnn"))
    with Pipeline(bundle.card.recipe, os.cpu_count() or 1) as pipeline:
        files, report = without_copies(pipeline, files, counts)
        counts["files set aside"] += len(report.set_aside)
        with progress_bar("evaluate", len(report.series), "series") as progress:
            for header in report.series:
                rows, whole, patient = _truth(header, files, truth)
                plan = plan_series(header, bundle.card)
                features = None if _unlabelled(rows, whole) else _features(pipeline, extractor, header, plan, files)
                if features is None:
                    counts["without labels" if _unlabelled(rows, whole) else "not assessed"] += 1
                else:
                    counts["slices without labels"] += rows.count(UNKNOWN)
                    yield Answered(*score_by_slice(scorer.score, features, header, plan), rows, whole, patient)
                progress.update(1)


def without_copies(
    pipeline: Pipeline, files: Sequence[File], counts: Counter[str]
) -> tuple[Sequence[File], HeadersReport]:
    """The files and what their headers tell, copies left out as the gateway does."""
    report = _headers(pipeline, files)
    shared = [numbers for series in report.series for numbers in files_sharing_instances(series)]
    found = classify_shared_files(shared, lambda first, later: _equal(files[first], files[later]))
    if not found.copies:
        return files, report
    copies = {later for _, later in found.copies}
    counts["files that are copies"] += len(copies)
    kept = [file for number, file in enumerate(files) if number not in copies]
    return kept, _headers(pipeline, kept)


def _equal(first: File, later: File) -> bool:
    return first.size == later.size and first.read(None) == later.read(None)


def _headers(pipeline: Pipeline, files: Sequence[File]) -> HeadersReport:
    heads, sizes = [file.read(HEAD_BYTES) for file in files], [file.size for file in files]
    report = pipeline.read_headers(heads, sizes)
    if not report.incomplete:
        return report
    for number in report.incomplete:
        heads[number] = files[number].read(None)
    return pipeline.read_headers(heads, sizes)


def _features(
    pipeline: Pipeline, extractor: SavedModelExtractor, header: SeriesHeader, plan: SlabPlan, files: Sequence[File]
) -> NDArray[np.float32] | None:
    """Features of what the networks see of a series, (r, d); None where the service would not assess it."""
    if files_sharing_instances(header):  # copies are gone: these differ
        return None
    found, evidence = [], []
    for made in made_in_turn(pipeline, header, plan, lambda number: files[number].read(None)):
        evidence += made.evidence
        if any(each.failed for each in made.evidence):
            return None
        found.append(extractor.extract(made.slices)["features"])
    if is_refused([*header.reasons, *pixel_reasons(evidence, headwards=header.uid is not None)]):
        return None
    return np.concatenate(found)


def _truth(header: SeriesHeader, files: Sequence[File], truth: Truth) -> tuple[tuple[Row, ...], Row, str]:
    """What the table says of the slices, of the whole, and whose it is."""
    found = [of_slice(truth, item.sop_instance_uid, files[item.file].name) for item in header.items]
    whole = truth.rows.get(header.uid or "") if truth.key == "series_instance_uid" else None
    keys = [each[0] for each in found if each] + [header.uid or ""]
    patient = next((truth.patients[key] for key in keys if key in truth.patients), header.study_uid or header.uid or "")
    if whole is not None:  # what is not in a series is in none of its slices; where it is, is not known
        return (tuple(False if value is False else None for value in whole),) * len(found), whole, patient
    rows = tuple(each[1] if each else UNKNOWN for each in found)
    return rows, tuple(any_of(column) for column in zip(*rows, strict=True)), patient


def _unlabelled(rows: Sequence[Row], whole: Row) -> bool:
    return all(value is None for row in (*rows, whole) for value in row)


def figures_of(answered: Sequence[Answered], points: Points) -> dict[str, Any]:
    """The card's `metrics` of these series; `labels_without_rows` are those that no row of the table tells."""
    slices, series, lengths = levels_of(answered)
    figures = usual_figures(slices, series, lengths, points)
    unknown = {"slice": _without_rows(slices), "series": _without_rows(series)}
    own = {"patients": int(series.study.max()) + 1, "labels_without_rows": unknown}
    return {**own, **figures, "beside": {}, "shifted": {}}


def levels_of(answered: Sequence[Answered]) -> tuple[ScoredLabels, ScoredLabels, list[int]]:
    """Answers beside truth: of all slices, of all series, and how many slices each series has."""
    patients = np.unique([each.patient for each in answered], return_inverse=True)[1]
    lengths = [len(each.truth) for each in answered]
    slices = _scored(
        np.concatenate([each.slices for each in answered]),
        [row for each in answered for row in each.truth],
        np.repeat(patients, lengths),
    )
    series = _scored(np.stack([each.series for each in answered]), [each.whole for each in answered], patients)
    return slices, series, lengths


def _without_rows(scored: ScoredLabels) -> list[Label]:
    return [label for column, label in enumerate(LABELS) if not scored.label_mask[:, column].any()]


def _scored(scores: NDArray[np.float32], rows: Sequence[Row], groups: NDArray[Any]) -> ScoredLabels:
    truth = np.array([[value is True for value in row] for row in rows])
    known = np.array([[value is not None for value in row] for row in rows])
    return ScoredLabels(scores, truth, known, groups)


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _none_answered(data: Path, table: Path, truth: Truth, counts: Counter[str]) -> str:
    """Why there is nothing to measure, without names: they may be patients'."""
    words = f"{table} speaks of no series in {data} that is assessed ({_words(counts)})."
    if counts["without labels"] and not counts["not assessed"]:
        words += (
            f" None of its {len(truth.rows)} rows was found by its column {truth.key}, "
            f"which holds {KEY_WORDS[truth.key]}."
        )
    return words
