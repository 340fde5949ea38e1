"""Measures a bundle on a real series with painted haemorrhages, and on the same series without."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.common.card import open_bundle
from services.common.labels import LABELS, SUBTYPES, Label
from training.data.real_series import RealSeries, read_series
from training.evaluate.metrics import UNCHANGED, auc, rounded
from training.evaluate.predictions import Prediction
from training.evaluate.served_bundle import ServedBundle
from training.io.errors import TrainingError
from training.phantom.shapes import Floats
from training.research.gallery import sheet
from training.research.painted_blood import LARGE, SMALL, Head, Sizes, make_head, paint, visible_slices
from training.research.scanner_variants import SCANNER_VARIANTS, ScannerVariant, unchanged

LOG = logging.getLogger(__name__)
SERIES_PER_KIND: Final = 20  # painted series of every kind
DRAWS_PER_SERIES: Final = 10  # for each series with a visible haemorrhage
PICTURES_PER_KIND: Final = 8
SEED: Final = 2019


@dataclass(frozen=True, slots=True)
class _Predicted:
    """Features (n, d) and prediction of one series; `visible` (n,) bool marks the slices with visible blood."""

    features: NDArray[np.float32]
    prediction: Prediction
    visible: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Variant:
    """The unpainted series by one scanner: the features (n, d) of its slices, and its prediction."""

    variant: ScannerVariant
    features: NDArray[np.float32]
    clean: _Predicted


def measure_painted(
    bundle: Path,
    series: Path,
    out: Path,
    *,
    each: int = SERIES_PER_KIND,
    variants: Mapping[str, ScannerVariant] = SCANNER_VARIANTS,
) -> dict[str, Any]:
    """AUCs and calls by kind of haemorrhage; writes a picture of them to `out`/implanted.jpg.

    Haemorrhages are large, and under `small` of most patients' size. Each figure is repeated by scanner variant.

    Parameters
    ----------
    each : painted series of every kind and size
    variants : scanner variants by name

    Raises
    ------
    TrainingError
        the folder holds no slices, or none with enough brain
    BundleError
        `bundle` is no bundle
    """
    real, served = read_series(series), ServedBundle(open_bundle(bundle))
    head = make_head(*real.reduced(), real.position_mm)
    if not head.wide.any():
        raise TrainingError(f"{series} shows too little brain to paint haemorrhages into it.")
    shown = {name: _shown(served, real, variant) for name, variant in {UNCHANGED: unchanged, **variants}.items()}
    painter = _Painter(served, real, head, shown, each)
    large, small = painter.paint(LARGE), painter.paint(SMALL)
    out.mkdir(parents=True, exist_ok=True)
    sheet(out / "implanted.jpg", [*large.rows, *small.rows])
    figures = _Figures(served, head.wide)
    clean = {name: by.clean for name, by in shown.items()}
    return {
        "without": figures.without(clean[UNCHANGED]),
        **figures.of_painted(large, clean),
        "scanner_variants": {
            name: figures.without(clean[name]) | figures.with_blood(large.predicted[name], clean[name])
            for name in variants
        },
        "small": figures.of_painted(small, clean)
        | {"scanner_variants": {name: figures.with_blood(small.predicted[name], clean[name]) for name in variants}},
    }


def _shown(served: ServedBundle, real: RealSeries, variant: ScannerVariant) -> _Variant:
    features = served.features_of_hu(_shown_by(real.hu, variant))
    prediction = served.predict(features, real.position_mm)
    return _Variant(variant, features, _Predicted(features, prediction, np.zeros(len(features), bool)))


def _shown_by(hu: NDArray[np.int16], variant: ScannerVariant) -> NDArray[np.int16]:
    return np.rint(variant(hu.astype(np.float32))).astype(np.int16)


@dataclass(frozen=True, slots=True)
class _PaintedSeries:
    """Painted series of one size: predictions by scanner and kind, and pictures, a kind a row."""

    predicted: dict[str, dict[Label, list[_Predicted]]]
    rows: list[list[Floats]]


@dataclass(frozen=True, slots=True)
class _Painter:
    """Paints `each` haemorrhages of every kind into a series, and predicts the series by every scanner."""

    served: ServedBundle
    real: RealSeries
    head: Head
    shown: Mapping[str, _Variant]
    each: int

    def paint(self, sizes: Sizes) -> _PaintedSeries:
        """Painted series of every kind that the head has a place for."""
        painted = _PaintedSeries({name: {} for name in self.shown}, [])
        for number, kind in enumerate(SUBTYPES):
            made = list(self._made(kind, sizes, np.random.default_rng([SEED, number])))
            if not made:
                LOG.warning("%s: this head has no place for it", kind)
                continue
            for name, by in self.shown.items():
                painted.predicted[name][kind] = [self._predict(hu, by) for hu in made]
            painted.rows.append([_largest(self.head, hu) for hu in islice(cycle(made), PICTURES_PER_KIND)])
            LOG.info("%s: %d series by %d scanners predicted", kind, len(made), len(self.shown))
        return painted

    def _made(self, kind: Label, sizes: Sizes, rng: np.random.Generator) -> Iterator[Floats]:
        """Up to `each` series with visible blood."""
        drawn = (paint(self.head, kind, rng, sizes) for _ in range(DRAWS_PER_SERIES * self.each))
        return islice((hu for hu in drawn if visible_slices(self.head, hu).any()), self.each)

    def _predict(self, hu: Floats, shown: _Variant) -> _Predicted:
        """The prediction; the CNN sees the painted slices alone, as features of the others are known."""
        brighter = hu - self.head.hu
        bled = np.flatnonzero(brighter.any(axis=(1, 2)))
        step = self.real.hu.shape[1] // hu.shape[1]
        fine = np.rint(brighter[bled]).astype(np.int16).repeat(step, axis=1).repeat(step, axis=2)
        features = shown.features.copy()
        features[bled] = self.served.features_of_hu(_shown_by(self.real.hu[bled] + fine, shown.variant))
        prediction = self.served.predict(features, self.real.position_mm)
        return _Predicted(features, prediction, visible_slices(self.head, hu))


@dataclass(frozen=True, slots=True)
class _Figures:
    """Figures of predictions; `wide` (n,) marks the unpainted slices to compare with."""

    served: ServedBundle
    wide: NDArray[np.bool_]

    def of_painted(self, painted: _PaintedSeries, clean: Mapping[str, _Predicted]) -> dict[str, Any]:
        """Figures by the series' own scanner, by kind and of all kinds."""
        predicted, plain = painted.predicted[UNCHANGED], clean[UNCHANGED]
        return {
            "kinds": {kind: self.of_kind(kind, every, plain) for kind, every in predicted.items()},
            "with": self.with_blood(predicted, plain),
        }

    def of_kind(self, kind: Label, predicted: list[_Predicted], clean: _Predicted) -> dict[str, Any]:
        """Figures of one kind of haemorrhage."""
        positive, plain = _positive_scores(predicted), clean.prediction[0][self.wide]
        alone = np.concatenate([self.served.predict_single_slices(one.features)[0][one.visible] for one in predicted])
        plain_alone = self.served.predict_single_slices(clean.features)[0][self.wide]
        series = _series(predicted)
        return {
            "series": len(predicted),
            "slices": len(positive),
            "any_auc": _above(positive[:, 0], plain[:, 0]),
            "any_auc_alone": _above(alone[:, 0], plain_alone[:, 0]),
            "own_auc": _above(positive[:, LABELS.index(kind)], plain[:, LABELS.index(kind)]),
            "slices_called": rounded(float((positive[:, 0] > self.served.default_thresholds.slice["any"]).mean())),
            "series_called": rounded(float((series > self.served.default_thresholds.series["any"]).mean())),
            "series_above_clean": rounded(float((series > clean.prediction[1][0]).mean())),
        }

    def with_blood(self, predicted: Mapping[Label, list[_Predicted]], clean: _Predicted) -> dict[str, float | None]:
        """Figures of all kinds, each with the same weight."""
        plain, every = clean.prediction[0][self.wide, 0], list(predicted.values())
        series = [_series(one) for one in every]
        return {
            "any_auc": _mean([_above(_positive_scores(one)[:, 0], plain) for one in every]),
            "painted_called": _mean(
                [float((one > self.served.default_thresholds.series["any"]).mean()) for one in series]
            ),
            "painted_above_clean": _mean([float((one > clean.prediction[1][0]).mean()) for one in series]),
        }

    def without(self, clean: _Predicted) -> dict[str, Any]:
        """Figures of the unpainted series."""
        slices, series = clean.prediction
        return {
            "slices": len(slices),
            "median_any": rounded(float(np.median(slices[:, 0]))),
            "slices_called": int((slices[:, 0] > self.served.default_thresholds.slice["any"]).sum()),
            "series_any": rounded(float(series[0])),
            "series_called": bool(series[0] > self.served.default_thresholds.series["any"]),
        }


def _positive_scores(predicted: list[_Predicted]) -> NDArray[np.float32]:
    """Probabilities of slices with visible blood, (m, 6)."""
    return np.concatenate([one.prediction[0][one.visible] for one in predicted])


def _series(predicted: list[_Predicted]) -> NDArray[np.float32]:
    return np.array([one.prediction[1][0] for one in predicted])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return rounded(float(np.mean(known))) if known else None


def _above(positive: NDArray[np.float32], plain: NDArray[np.float32]) -> float | None:
    """The AUC of slices with blood against slices without."""
    return rounded(auc(np.concatenate([positive, plain]), np.arange(len(positive) + len(plain)) < len(positive)))


def _largest(head: Head, hu: Floats) -> Floats:
    """The slice with most blood."""
    slice_: Floats = hu[int((hu - head.hu).clip(0).sum(axis=(1, 2)).argmax())]
    return slice_
