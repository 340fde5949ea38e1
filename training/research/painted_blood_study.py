"""What a bundle says of a real series with blood put into it, beside the same series without."""

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
from services.preprocess.windowing import apply_windows
from training.data.real_series import RealSeries, read_series
from training.evaluate.metrics import UNCHANGED, auc, rounded
from training.evaluate.predictions import Prediction
from training.evaluate.served_bundle import ServedBundle
from training.io.errors import TrainingError
from training.phantom.shapes import Floats
from training.research.gallery import sheet
from training.research.painted_blood import LARGE, SMALL, Head, Sizes, head_of, implanted, truth
from training.research.scanner_variants import CHANGES, Change, unchanged

LOG = logging.getLogger(__name__)
EACH: Final = 20  # haemorrhages of every kind
TRIES: Final = 10  # for each that shall be seen
SHOWN: Final = 8
SEED: Final = 2019


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was said of one series by its features (n, d); seen (n,) bool are the slices that show blood."""

    features: NDArray[np.float32]
    given: Prediction
    seen: NDArray[np.bool_]


class _Networks:
    """A bundle's two networks on slices in Hounsfield units."""

    def __init__(self, folder: Path) -> None:
        self._served = ServedBundle(open_bundle(folder))
        self.at = self._served.card.thresholds["default"]

    def features(self, hu: NDArray[np.int16]) -> NDArray[np.float32]:
        """Feature vectors (n, d) of slices (n, 512, 512) in Hounsfield units."""
        return self._served.features(apply_windows(hu, self._served.card.recipe))

    def ask(self, features: NDArray[np.float32], position_mm: NDArray[np.float32], seen: NDArray[np.bool_]) -> _Asked:
        """The prediction for a series."""
        return _Asked(features, self._served.predict(features, position_mm), seen)

    def alone(self, features: NDArray[np.float32]) -> Prediction:
        """The prediction for each slice as a series of its own."""
        return self._served.predict_single_slices(features)


@dataclass(frozen=True, slots=True)
class _Shown:
    """The series without blood as one scanner shows it: the features (n, d) of its slices, and what is said of it."""

    change: Change
    features: NDArray[np.float32]
    clean: _Asked


def measure_implanted(
    bundle: Path, series: Path, out: Path, *, each: int = EACH, changes: Mapping[str, Change] = CHANGES
) -> dict[str, Any]:
    """AUCs by kind of blood, and how often a series is called; `out` gets `implanted.jpg`, where one can see them.

    Of large haemorrhages, and of such as most of patients' are: `small`. All of it once more as other scanners might
    have shown it, by the names of `changes`.

    Raises
    ------
    TrainingError
        the folder holds no slices, or none with brain enough
    BundleError
        the folder of the bundle is none
    """
    real, networks = read_series(series), _Networks(bundle)
    head = head_of(*real.reduced(), real.position_mm)
    if not head.wide.any():
        raise TrainingError(f"{series} shows too little brain for blood to be put into it.")
    shown = {name: _shown(networks, real, change) for name, change in {UNCHANGED: unchanged, **changes}.items()}
    painter = _Painter(networks, real, head, shown, each)
    large, small = painter.paint(LARGE), painter.paint(SMALL)
    out.mkdir(parents=True, exist_ok=True)
    sheet(out / "implanted.jpg", [*large.rows, *small.rows])
    figures = _Figures(networks, head.wide)
    clean = {name: by.clean for name, by in shown.items()}
    return {
        "without": figures.without(clean[UNCHANGED]),
        **figures.of_painted(large, clean),
        "scanner_variants": {
            name: figures.without(clean[name]) | figures.with_blood(large.asked[name], clean[name]) for name in changes
        },
        "small": figures.of_painted(small, clean)
        | {"scanner_variants": {name: figures.with_blood(small.asked[name], clean[name]) for name in changes}},
    }


def _shown(networks: _Networks, real: RealSeries, change: Change) -> _Shown:
    features = networks.features(_changed(real.hu, change))
    return _Shown(change, features, networks.ask(features, real.position_mm, np.zeros(len(features), bool)))


def _changed(hu: NDArray[np.int16], change: Change) -> NDArray[np.int16]:
    return np.rint(change(hu.astype(np.float32))).astype(np.int16)


@dataclass(frozen=True, slots=True)
class _Painted:
    """The series with blood of some size: what is said of it by scanner and kind, and pictures, a kind a row."""

    asked: dict[str, dict[Label, list[_Asked]]]
    rows: list[list[Floats]]


@dataclass(frozen=True, slots=True)
class _Painter:
    """Puts blood into a series, `each` times of every kind, and asks what is said of it by every scanner."""

    networks: _Networks
    real: RealSeries
    head: Head
    shown: Mapping[str, _Shown]
    each: int

    def paint(self, sizes: Sizes) -> _Painted:
        """Of every kind that the head has a place for."""
        painted = _Painted({name: {} for name in self.shown}, [])
        for number, kind in enumerate(SUBTYPES):
            made = list(self._made(kind, sizes, np.random.default_rng([SEED, number])))
            if not made:
                LOG.warning("%s: this head has no place for it", kind)
                continue
            for name, by in self.shown.items():
                painted.asked[name][kind] = [self._ask(hu, by) for hu in made]
            painted.rows.append([_largest(self.head, hu) for hu in islice(cycle(made), SHOWN)])
            LOG.info("%s: asked about %d series by %d scanners", kind, len(made), len(self.shown))
        return painted

    def _made(self, kind: Label, sizes: Sizes, rng: np.random.Generator) -> Iterator[Floats]:
        """As many series as are wanted in which some slice shows blood; fewer, where this head hardly shows any."""
        drawn = (implanted(self.head, kind, rng, sizes) for _ in range(TRIES * self.each))
        return islice((hu for hu in drawn if truth(self.head, hu).any()), self.each)

    def _ask(self, hu: Floats, shown: _Shown) -> _Asked:
        """The CNN sees the changed slices alone: of the others it has said what it says."""
        brighter = hu - self.head.hu
        bled = np.flatnonzero(brighter.any(axis=(1, 2)))
        step = self.real.hu.shape[1] // hu.shape[1]
        fine = np.rint(brighter[bled]).astype(np.int16).repeat(step, axis=1).repeat(step, axis=2)
        features = shown.features.copy()
        features[bled] = self.networks.features(_changed(self.real.hu[bled] + fine, shown.change))
        return self.networks.ask(features, self.real.position_mm, truth(self.head, hu))


@dataclass(frozen=True, slots=True)
class _Figures:
    """What is counted of answers; `wide` (n,) are the slices without blood that those with are set against."""

    networks: _Networks
    wide: NDArray[np.bool_]

    def of_painted(self, painted: _Painted, clean: Mapping[str, _Asked]) -> dict[str, Any]:
        """Of blood as the series' own scanner shows it, by kind and of all kinds."""
        asked, plain = painted.asked[UNCHANGED], clean[UNCHANGED]
        return {
            "kinds": {kind: self.of_kind(kind, every, plain) for kind, every in asked.items()},
            "with": self.with_blood(asked, plain),
        }

    def of_kind(self, kind: Label, asked: list[_Asked], clean: _Asked) -> dict[str, Any]:
        """Of one kind of blood."""
        bleeding, plain = _bleeding(asked), clean.given[0][self.wide]
        alone = np.concatenate([self.networks.alone(one.features)[0][one.seen] for one in asked])
        plain_alone = self.networks.alone(clean.features)[0][self.wide]
        series = _series(asked)
        return {
            "series": len(asked),
            "slices": len(bleeding),
            "any_auc": _above(bleeding[:, 0], plain[:, 0]),
            "any_auc_alone": _above(alone[:, 0], plain_alone[:, 0]),
            "own_auc": _above(bleeding[:, LABELS.index(kind)], plain[:, LABELS.index(kind)]),
            "slices_called": rounded(float((bleeding[:, 0] > self.networks.at.slice["any"]).mean())),
            "series_called": rounded(float((series > self.networks.at.series["any"]).mean())),
            "series_above_clean": rounded(float((series > clean.given[1][0]).mean())),
        }

    def with_blood(self, asked: Mapping[Label, list[_Asked]], clean: _Asked) -> dict[str, float | None]:
        """Return the mean metrics over all kinds, with equal weights."""
        plain, every = clean.given[0][self.wide, 0], list(asked.values())
        series = [_series(one) for one in every]
        return {
            "any_auc": _mean([_above(_bleeding(one)[:, 0], plain) for one in every]),
            "painted_called": _mean([float((one > self.networks.at.series["any"]).mean()) for one in series]),
            "painted_above_clean": _mean([float((one > clean.given[1][0]).mean()) for one in series]),
        }

    def without(self, clean: _Asked) -> dict[str, Any]:
        """Of the series in which nothing bleeds."""
        slices, series = clean.given
        return {
            "slices": len(slices),
            "median_any": rounded(float(np.median(slices[:, 0]))),
            "slices_called": int((slices[:, 0] > self.networks.at.slice["any"]).sum()),
            "series_any": rounded(float(series[0])),
            "series_called": bool(series[0] > self.networks.at.series["any"]),
        }


def _bleeding(asked: list[_Asked]) -> NDArray[np.float32]:
    """Of slices that show blood, (m, 6)."""
    return np.concatenate([one.given[0][one.seen] for one in asked])


def _series(asked: list[_Asked]) -> NDArray[np.float32]:
    return np.array([one.given[1][0] for one in asked])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return rounded(float(np.mean(known))) if known else None


def _above(bleeding: NDArray[np.float32], plain: NDArray[np.float32]) -> float | None:
    """The AUC of slices with blood against slices without."""
    return rounded(auc(np.concatenate([bleeding, plain]), np.arange(len(bleeding) + len(plain)) < len(bleeding)))


def _largest(head: Head, hu: Floats) -> Floats:
    """The slice with most blood."""
    slice_: Floats = hu[int((hu - head.hu).clip(0).sum(axis=(1, 2)).argmax())]
    return slice_
