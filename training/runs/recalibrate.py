"""New operating points for a bundle, and the figures that depend on them. Its networks stay as they are.

The studies are those that a build draws: `calibration` of its configuration, and the fixed test set. A bundle that was
not made of phantoms is calibrated on a site's own files: one half of the patients chooses, the other is measured.
"""

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

from services.cnn.engines import EngineUnavailable, OpenVinoExtractor
from services.cnn.extractor import FeatureExtractor
from services.cnn.model import SavedModelExtractor
from services.common.card import CARD_NAME, Bundle, Card
from services.common.labels import LABELS
from services.common.operating_points import LEVELS, OperatingPoint, Thresholds
from services.common.predictions import PREDICTION_RULE
from services.rnn.model import SavedModelScorer
from training.bundle.build_card import library_versions, utc_now
from training.configs.phantom_config import SEEDS, studies
from training.data.series import Series
from training.evaluate.bundle_on_files import Answered, answers_to, figures_of, levels_of, opened
from training.evaluate.bundle_on_phantoms import cases_of
from training.evaluate.calibrate import operating_points
from training.evaluate.feature_cache import FeatureCache
from training.evaluate.metrics import ScoredLabels, auc, points_of
from training.evaluate.predictions import lengths_of, levels
from training.evaluate.test_set import TEST
from training.evaluate.thresholding import predict_studies
from training.io.errors import TrainingError
from training.io.files import write_atomically
from training.phantom.study_options import StudyRequest

LOG = logging.getLogger(__name__)
AUC_TOLERANCE: Final = 2e-3  # between the card's AUC of any by slice and that of the same studies today
Engine = Literal["tensorflow", "openvino"]
NewPoints = dict[OperatingPoint, Thresholds]


@dataclass(frozen=True, slots=True)
class Changed:
    """What of a card is new: operating points, metrics, and from what data."""

    points: NewPoints
    metrics: dict[str, Any]
    data: str


def recalibrate_by_phantoms(folder: Path, out: Path, run: Path, engine: Engine = "tensorflow") -> Card:
    """Write a bundle of phantoms with new operating points to `out`, which may be `folder` itself.

    `run` keeps what the networks made of whole studies; a second start takes that up.

    Raises
    ------
    TrainingError
        no bundle, none made of this repository's phantoms, or one whose networks answer otherwise than its card says
    """
    bundle = opened(folder)
    calibration, tested = _calibration_studies(bundle), list(TEST)
    run.mkdir(parents=True, exist_ok=True)
    kept, score = _kept(bundle, run, engine), SavedModelScorer(bundle.saved_model("rnn")).score

    def scored(wanted: Sequence[StudyRequest], name: str) -> tuple[ScoredLabels, ScoredLabels, list[int]]:
        made = [case.series for case in kept.of(wanted, name=name)]
        return _scored(made, score)

    points = operating_points(*scored(calibration, "phantoms for calibration"))
    measured = scored(tested, "phantoms to measure on")
    _check_same(bundle, measured[0])
    metrics = with_points(bundle.card.metrics, *measured, points)
    data = f"the {len(calibration)} phantoms of the build's calibration"
    return _write(bundle, out, Changed(points, metrics, data))


def recalibrate_by_files(folder: Path, out: Path, data: Path, table: Path) -> Card:
    """The same by a site's own files: one half of the patients chooses the points, the other gives the figures.

    Raises
    ------
    TrainingError
        bundle, files or table can't be read, or fewer than two patients were assessed
    """
    bundle = opened(folder)
    answered, _ = answers_to(bundle, data, table)
    chosen_by, measured = halves(answered)
    if not (chosen_by and measured):
        raise TrainingError(f"{data} has one patient with known labels: two are needed, one to choose, one to measure.")
    points = operating_points(*levels_of(chosen_by))
    words = f"a site's own, {data.name}: half of the patients, by the hash of their name; the others chose thresholds"
    return _write(bundle, out, Changed(points, {"data": words, **figures_of(measured, points)}, f"files, {data.name}"))


def _calibration_studies(bundle: Bundle) -> list[StudyRequest]:
    training = bundle.card.training
    count = training.get("studies", {}).get("calibration")
    if not count:
        raise TrainingError(
            f"{bundle.folder} was not made of phantoms, so there are no studies to draw again: give --files FOLDER "
            "--labels CSV of series that it has not learnt from, or run the steps calibrate, evaluate and export in "
            "the folder of its run."
        )
    if training.get("seeds", {}).get("calibration") != SEEDS["calibration"]:
        raise TrainingError(
            f"{bundle.folder} was calibrated on phantoms of other seeds than this version draws: give --files FOLDER "
            "--labels CSV."
        )
    return studies("calibration", count)


def _kept(bundle: Bundle, run: Path, engine: Engine) -> FeatureCache:
    extractor = _extractor(bundle, engine)
    cnn = {name: digest for name, digest in bundle.card.files.items() if name.startswith("cnn/")}
    made_by = sha256(json.dumps(cnn, sort_keys=True).encode()).hexdigest()
    return FeatureCache(lambda wanted, name, _: cases_of(extractor, wanted, name), made_by, run)


def _extractor(bundle: Bundle, engine: Engine) -> FeatureExtractor:
    folder = bundle.saved_model("cnn")
    try:
        return OpenVinoExtractor(folder) if engine == "openvino" else SavedModelExtractor(folder)
    except EngineUnavailable as missing:
        raise TrainingError(f"{missing}.") from None


def _scored(made: Sequence[Series], score: Callable[..., Any]) -> tuple[ScoredLabels, ScoredLabels, list[int]]:
    return *levels(made, [score(study.features, study.position_mm) for study in made]), lengths_of(made)


def _check_same(bundle: Bundle, slices: ScoredLabels) -> None:
    stated, found = bundle.card.metrics["slice"]["any"]["auc"], auc(*slices.of(0)[:2])
    # Written so that a NaN is refused, too.
    if not abs(stated - found) <= AUC_TOLERANCE:
        raise TrainingError(
            f"{bundle.folder}: the AUC of any by slice on the test phantoms is {found:.4f}, its card states "
            f"{stated:.4f}. The figures beside the new ones would not hold: build the bundle anew."
        )


def with_points(
    metrics: Mapping[str, Any], slices: ScoredLabels, series: ScoredLabels, lengths: Sequence[int], points: NewPoints
) -> dict[str, Any]:
    """The metrics with sensitivities and specificities at the new points; all else stays."""
    predicted = {point: predict_studies(slices.scores, series.scores, lengths, at) for point, at in points.items()}
    changed = dict(metrics)
    for level, scored in zip(LEVELS, (slices, series), strict=True):
        rows = {point: getattr(found, level) for point, found in predicted.items()}
        new = {label: metrics[level][label] | points_of(scored, rows, column) for column, label in enumerate(LABELS)}
        changed[level] = metrics[level] | new
    return changed


def halves(answered: Sequence[Answered]) -> tuple[list[Answered], list[Answered]]:
    """Series of one half of the patients and of the other; a patient is always of the same half."""
    order = sorted({each.patient for each in answered}, key=lambda name: sha256(name.encode()).digest())
    first = set(order[: len(order) // 2])
    return [each for each in answered if each.patient in first], [
        each for each in answered if each.patient not in first
    ]


def _write(bundle: Bundle, out: Path, changed: Changed) -> Card:
    """A card that differs in what depends on thresholds alone, beside the same files."""
    document = new_card((bundle.folder / CARD_NAME).read_bytes(), changed)
    Card.model_validate(document)
    if out.resolve() != bundle.folder.resolve():
        shutil.copytree(bundle.folder, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns(CARD_NAME))
    content = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    write_atomically(out / CARD_NAME, lambda part: part.write_text(content))
    return opened(out).card


def new_card(before: bytes, changed: Changed) -> dict[str, Any]:
    """The card's content with new points and metrics; `created` and `training.recalibrated` say so."""
    document: dict[str, Any] = json.loads(before)
    recalibrated = {
        "command": "python -m training recalibrate BUNDLE",
        "data": changed.data,
        "before": {"created": document["created"], "card_sha256": sha256(before).hexdigest()},
        "versions": library_versions(),
    }
    document |= {
        "created": utc_now(),
        "training": document["training"] | {"recalibrated": recalibrated},
        "metrics": changed.metrics,
        "thresholds": {name: point.model_dump(mode="json") for name, point in changed.points.items()},
        "prediction_rule": PREDICTION_RULE,
    }
    return {name: document[name] for name in Card.model_fields if name in document}
