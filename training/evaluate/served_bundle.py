"""A bundle run in this process as the services run it: headers, slabs, pixels, CNN, RNN and predictions."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from services.cnn.model import MOST_SLICES, GraphExtractor
from services.common.acceptance import is_refused, pixel_reasons
from services.common.card import Bundle, BundleError, SignatureCheck, open_bundle
from services.common.engine_choice import EngineOptions, load_network
from services.common.engines import EngineSetting, EngineUnavailable
from services.common.schemas import HeadersReport, SeriesHeader
from services.common.slabs import SlabPlan, plan_series
from services.common.sop_instances import classify_shared_files, files_sharing_instances
from services.preprocess.pipeline import Pipeline, Slices
from services.preprocess.windowing import apply_windows
from services.rnn.model import SavedModelScorer
from training.evaluate.apply_thresholds import Predicted, predict_studies
from training.evaluate.labelled_files import File
from training.evaluate.predictions import Prediction
from training.io.errors import TrainingError
from training.networks.extractor import in_chunks

CHUNK: Final = 16  # slices of one call, as the gateway sends them
HEAD_BYTES: Final = 256 * 1024


def read_bundle(folder: Path, trusted: SignatureCheck | None = None) -> Bundle:
    """Open a bundle.

    Parameters
    ----------
    trusted : checks the card's signature; None accepts an unsigned bundle

    Raises
    ------
    TrainingError
        the folder holds no bundle whose files match its card, or no trusted key signed it
    """
    try:
        return open_bundle(folder, trusted)
    except BundleError as error:
        raise TrainingError(f"{error}.") from None


@dataclass(frozen=True, slots=True)
class SeriesFiles:
    """Files without copies, the series that their headers form, and the number of copies left out."""

    files: Sequence[File]
    headers: HeadersReport
    copies: int


class ServedBundle:
    """A bundle's networks behind the preprocessing of the services; use it in a `with` statement for files.

    Parameters
    ----------
    engine : of the CNN

    Raises
    ------
    TrainingError
        the engine is not installed
    """

    def __init__(self, bundle: Bundle, engine: EngineSetting = "auto") -> None:
        self.card = bundle.card
        self.default_thresholds = bundle.card.thresholds["default"]
        self.pipeline = Pipeline(bundle.card.recipe, os.cpu_count() or 1)
        self._extractor = _extractor(bundle, engine)
        self._scorer = SavedModelScorer(bundle.saved_model("rnn"))

    def features(self, slices: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Feature vectors (n, d) of slices (n, 512, 512, 3)."""
        return in_chunks(lambda part: self._extractor.extract(part)["features"], slices, CHUNK)

    def features_of_hu(self, hu: NDArray[np.int16]) -> NDArray[np.float32]:
        """Feature vectors (n, d) of slices (n, 512, 512) in Hounsfield units."""
        return self.features(apply_windows(hu, self.card.recipe))

    def predict(self, features: NDArray[np.float32], position_mm: NDArray[np.float32]) -> Prediction:
        """Probabilities of one series from its features (n, d) and positions (n,), ascending."""
        return self._scorer.score(features, position_mm)

    def predict_single_slices(self, features: NDArray[np.float32]) -> Prediction:
        """Probabilities of slices (n, d) sent as one series each; the series' are the largest of them."""
        position_mm = np.zeros(1, np.float32)
        slices = np.concatenate([self._scorer.score(row[None], position_mm)[0] for row in features])
        return slices, slices.max(axis=0)

    def labels_of(self, prediction: Prediction) -> Predicted:
        """Labels that a report of one series states at the operating point `default`, (n, 6) and (1, 6)."""
        slices, series = prediction
        return predict_studies(slices, series[None], [len(slices)], self.default_thresholds)

    def read_series(self, files: Sequence[File]) -> SeriesFiles:
        """Group files into series, without copies, as the gateway does."""
        report = self._headers(files)
        shared = [numbers for series in report.series for numbers in files_sharing_instances(series)]
        found = classify_shared_files(shared, lambda first, later: _equal(files[first], files[later]))
        copies = {later for _, later in found.copies}
        if not copies:
            return SeriesFiles(files, report, 0)
        unique = [file for number, file in enumerate(files) if number not in copies]
        return SeriesFiles(unique, self._headers(unique), len(copies))

    def predict_series(
        self, files: Sequence[File], header: SeriesHeader, *, average: bool = True, refuse: bool = True
    ) -> Prediction | None:
        """Probabilities of every slice, (n, 6), and of the series, (6,); None where the services refuse the series.

        Parameters
        ----------
        files : without copies; `header` holds their numbers
        average : average thin slices into slabs
        refuse : False predicts any series whose pixels can be read
        """
        if refuse and files_sharing_instances(header):  # copies are left out: these files differ
            return None
        plan = plan_series(header, self.card, average=average)
        features = self._series_features(files, header, plan, refuse=refuse)
        return None if features is None else predict_slices(self.predict, features, header, plan)

    def _series_features(
        self, files: Sequence[File], header: SeriesHeader, plan: SlabPlan, *, refuse: bool
    ) -> NDArray[np.float32] | None:
        """Features of the plan's rows, (r, d); None where a slice can't be read or acceptance refuses the series."""
        parts, evidence = [], []
        for made in preprocess_in_chunks(self.pipeline, header, plan, lambda number: files[number].read(None)):
            evidence += made.evidence
            if any(each.failed for each in made.evidence):
                return None
            parts.append(self.features(made.slices))
        if refuse and is_refused([*header.reasons, *pixel_reasons(evidence, headwards=header.uid is not None)]):
            return None
        return np.concatenate(parts)

    def _headers(self, files: Sequence[File]) -> HeadersReport:
        heads, sizes = [file.read(HEAD_BYTES) for file in files], [file.size for file in files]
        report = self.pipeline.read_headers(heads, sizes)
        if not report.incomplete:
            return report
        for number in report.incomplete:
            heads[number] = files[number].read(None)
        return self.pipeline.read_headers(heads, sizes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pipeline.close()


def preprocess_in_chunks(
    pipeline: Pipeline, header: SeriesHeader, plan: SlabPlan, read: Callable[[int], bytes]
) -> Iterator[Slices]:
    """The rows that the networks see, in the gateway's chunks.

    Parameters
    ----------
    read : returns a whole file by its number
    """
    for part in plan.chunks(CHUNK):
        items = header.items[part[0].start : part[-1].stop]
        numbers = sorted({item.file for item in items})
        frames = np.array([(numbers.index(item.file), item.frame) for item in items], np.int32)
        slabs = np.repeat(np.arange(len(part)), [len(row) for row in part]).astype(np.int32)
        files = [read(number) for number in numbers]
        yield pipeline.make_slices(files, frames, slabs=slabs if plan.averaged else None)


def predict_slices(
    predict: Callable[[NDArray[np.float32], NDArray[np.float32]], Prediction],
    features: NDArray[np.float32],
    header: SeriesHeader,
    plan: SlabPlan,
) -> Prediction:
    """Probabilities of each slice, (n, 6), and of the series, (6,), from the features of the plan's rows, (r, d).

    Parameters
    ----------
    predict : maps features and positions in mm, (r,), to probabilities of the rows and of the series
    """
    rows, series = predict(features, np.array(plan.positions_mm(header.position_mm), np.float32))
    return rows[list(plan.row_of)], series


def _extractor(bundle: Bundle, engine: EngineSetting) -> GraphExtractor:
    try:
        return GraphExtractor(load_network(bundle, "cnn", EngineOptions(engine, most_rows=MOST_SLICES)).call)
    except EngineUnavailable as missing:
        raise TrainingError(f"{missing}.") from None


def _equal(first: File, later: File) -> bool:
    return first.size == later.size and first.read(None) == later.read(None)
