"""Fits new operating points for a bundle and measures the figures that depend on them; the networks stay.

A bundle of phantoms uses the studies of its build: those for calibration, and the fixed test set. Other bundles use a
site's files: half of the patients to fit the points, the other half to measure.
"""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from services.common.bundle_files import ADDENDA_NAME, CARD_NAME, SIGNATURE_NAME
from services.common.card import Bundle, Card
from services.common.engines import EngineSetting
from services.common.labels import LABELS
from services.common.operating_points import LEVELS, OperatingPoint, Thresholds
from services.common.predictions import PREDICTION_RULE
from training.bundle.build_card import record_change, utc_now
from training.configs.config import SEEDS, studies
from training.evaluate.apply_thresholds import predict_studies
from training.evaluate.bundle_on_files import PredictedSeries, predict_site, scored_levels, site_metrics
from training.evaluate.bundle_on_phantoms import served_features, served_predictors
from training.evaluate.calibrate import fit_operating_points
from training.evaluate.feature_cache import FeatureCache
from training.evaluate.metrics import ScoredLabels, auc, points_of
from training.evaluate.predictions import lengths_of, score_levels
from training.evaluate.served_bundle import ServedBundle, read_bundle
from training.evaluate.test_set import TEST
from training.io.errors import TrainingError
from training.io.files import write_atomically
from training.phantom.study_options import StudyRequest

LOG = logging.getLogger(__name__)
AUC_TOLERANCE: Final = 2e-3  # between the card's AUC of `any` by slice and the one measured again
NewPoints = dict[OperatingPoint, Thresholds]


@dataclass(frozen=True, slots=True)
class Recalibration:
    """The new fields of a card.

    data : the data of the operating points, in words
    """

    points: NewPoints
    metrics: dict[str, Any]
    data: str


def recalibrate_by_phantoms(folder: Path, out: Path, run: Path, engine: EngineSetting = "auto") -> Card:
    """Write a bundle of phantoms with new operating points to `out`; return its card.

    Parameters
    ----------
    out : may be `folder`
    run : folder of the feature cache, from which a second start resumes

    Raises
    ------
    TrainingError
        the folder is no bundle, the bundle is not made of this version's phantoms, or its AUC is not its card's
    """
    bundle = read_bundle(folder)
    calibration, tested = _calibration_studies(bundle), list(TEST)
    run.mkdir(parents=True, exist_ok=True)
    served = ServedBundle(bundle, engine)
    cache, predict = _feature_cache(bundle, served, run), served_predictors(served).bundle

    def scored(requests: Sequence[StudyRequest], name: str) -> tuple[ScoredLabels, ScoredLabels, list[int]]:
        series = [study.series for study in cache.of(requests, name=name)]
        return *score_levels(series, predict(series)), lengths_of(series)

    points = fit_operating_points(*scored(calibration, "phantoms for calibration"))
    measured = scored(tested, "phantoms to measure on")
    _check_auc(bundle, measured[0])
    metrics = with_points(bundle.card.metrics, *measured, points)
    data = f"the {len(calibration)} phantoms of the build's calibration"
    return write_recalibrated(bundle, out, Recalibration(points, metrics, data))


def recalibrate_by_files(folder: Path, out: Path, data: Path, table: Path) -> Card:
    """Write a bundle with operating points and figures from a site's files; return its card.

    Parameters
    ----------
    out : may be `folder`
    data : folder or zip of DICOM files
    table : CSV of their labels

    Raises
    ------
    TrainingError
        bundle, files or table cannot be read, or fewer than two patients were assessed
    """
    bundle = read_bundle(folder)
    predicted, _ = predict_site(bundle, data, table)
    calibration, measured = split_patients(predicted)
    if not (calibration and measured):
        raise TrainingError(
            f"{data} has one patient with known labels: two are needed, one to calibrate, one to measure."
        )
    points = fit_operating_points(*scored_levels(calibration))
    text = f"a site's own, {data.name}: half of the patients, by the hash of their name; thresholds are from the others"
    metrics = {"data": text, **site_metrics(measured, points)}
    return write_recalibrated(bundle, out, Recalibration(points, metrics, f"files, {data.name}"))


def _calibration_studies(bundle: Bundle) -> list[StudyRequest]:
    training = bundle.card.training
    count = training.get("studies", {}).get("calibration")
    if not count:
        raise TrainingError(
            f"{bundle.folder} was not made of phantoms, so calibration studies cannot be drawn again: give --files "
            "FOLDER --labels CSV of series that it was not trained on, or run the steps calibrate, evaluate and "
            "export in the folder of its run."
        )
    if training.get("seeds", {}).get("calibration") != SEEDS["calibration"]:
        raise TrainingError(
            f"{bundle.folder} was calibrated on phantoms of other seeds than this version draws: give --files FOLDER "
            "--labels CSV."
        )
    return studies("calibration", count)


def _feature_cache(bundle: Bundle, served: ServedBundle, run: Path) -> FeatureCache:
    cnn = {name: digest for name, digest in bundle.card.files.items() if name.startswith("cnn/")}
    digest = sha256(json.dumps(cnn, sort_keys=True).encode()).hexdigest()
    return FeatureCache(lambda requests, name, _: served_features(served, requests, name), digest, run)


def _check_auc(bundle: Bundle, slices: ScoredLabels) -> None:
    stated, found = bundle.card.metrics["slice"]["any"]["auc"], auc(*slices.of(0)[:2])
    if not abs(stated - found) <= AUC_TOLERANCE:  # refuses NaN too
        raise TrainingError(
            f"{bundle.folder}: the AUC of any by slice on the test phantoms is {found:.4f}, its card states "
            f"{stated:.4f}. The card's other figures no longer hold: build the bundle again."
        )


def with_points(
    metrics: Mapping[str, Any], slices: ScoredLabels, series: ScoredLabels, lengths: Sequence[int], points: NewPoints
) -> dict[str, Any]:
    """Return the metrics with sensitivities and specificities at the new points; other figures stay."""
    predicted = {point: predict_studies(slices.scores, series.scores, lengths, at) for point, at in points.items()}
    updated = dict(metrics)
    for level, scored in zip(LEVELS, (slices, series), strict=True):
        rows = {point: getattr(present, level) for point, present in predicted.items()}
        new = {label: metrics[level][label] | points_of(scored, rows, column) for column, label in enumerate(LABELS)}
        updated[level] = metrics[level] | new
    return updated


def split_patients(predicted: Sequence[PredictedSeries]) -> tuple[list[PredictedSeries], list[PredictedSeries]]:
    """Split series into two halves of the patients, by the hash of the patient's identifier."""
    order = sorted({each.labels.patient for each in predicted}, key=lambda name: sha256(name.encode()).digest())
    first = set(order[: len(order) // 2])
    one, other = ([each for each in predicted if (each.labels.patient in first) is part] for part in (True, False))
    return one, other


def write_recalibrated(bundle: Bundle, out: Path, found: Recalibration) -> Card:
    """Write the updated card, and copy the bundle's other files where `out` is another folder."""
    document = updated_card((bundle.folder / CARD_NAME).read_bytes(), found)
    Card.model_validate(document)
    if out.resolve() != bundle.folder.resolve():
        shutil.copytree(
            bundle.folder,
            out,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(CARD_NAME, SIGNATURE_NAME, ADDENDA_NAME),
        )
    content = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    write_atomically(out / CARD_NAME, lambda part: part.write_text(content))
    _remove_signature(out)
    return read_bundle(out).card


def _remove_signature(folder: Path) -> None:
    """Remove the signature of the card before, which the new card does not match."""
    path = folder / SIGNATURE_NAME
    if path.is_symlink() or path.exists():
        path.unlink()
        LOG.info("%s: the card changed, its signature is removed: run `python -m training sign` again", folder)


def updated_card(before: bytes, found: Recalibration) -> dict[str, Any]:
    """Return the JSON of a card with new points and metrics, recorded in `created` and `training.recalibrated`."""
    document: dict[str, Any] = json.loads(before)
    change = record_change(before, document["created"], "python -m training recalibrate BUNDLE")
    document |= {
        "created": utc_now(),
        "training": document["training"] | {"recalibrated": {"data": found.data, **change}},
        "metrics": found.metrics,
        "thresholds": {name: point.model_dump(mode="json") for name, point in found.points.items()},
        "prediction_rule": PREDICTION_RULE,
    }
    return {name: document[name] for name in Card.model_fields if name in document}
