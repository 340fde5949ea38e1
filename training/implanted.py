"""What a bundle says of a real series with blood put into it, beside the same series without."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.common.card import open_bundle
from services.common.labels import LABELS, SUBTYPES, Label
from services.preprocess.recipe import render
from training.answers import Answer
from training.evaluate import auc, rounded
from training.failures import CannotGoOn
from training.gallery import sheet
from training.implant import Head, head_of, implanted, truth
from training.otherwise import CHANGES, Change
from training.phantom.shapes import Floats
from training.real_series import RealSeries, read_series
from training.served import features_of, one_by_one, services_of

LOG = logging.getLogger(__name__)
EACH: Final = 20  # haemorrhages of every kind
TRIES: Final = 10  # for each that shall be seen
SHOWN: Final = 8
SEED: Final = 2019


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was said of one series, and of each of its slices alone; seen (n,) bool."""

    given: Answer
    alone: Answer
    seen: NDArray[np.bool_]


class _Bundle:
    """A bundle's two networks, asked as the services ask them."""

    def __init__(self, folder: Path) -> None:
        bundle = open_bundle(folder)
        self.at = bundle.card.thresholds["default"]
        self._recipe = bundle.card.recipe
        self._extractor, self._scorer = services_of(bundle)

    def features(self, hu: NDArray[np.int16]) -> NDArray[np.float32]:
        """Of slices (n, 512, 512) in Hounsfield units."""
        return features_of(self._extractor, np.stack([render(slice_, self._recipe) for slice_ in hu]))

    def score(self, features: NDArray[np.float32], position_mm: NDArray[np.float32]) -> Answer:
        """About a series."""
        return self._scorer.score(features, position_mm)

    def ask(self, features: NDArray[np.float32], position_mm: NDArray[np.float32], seen: NDArray[np.bool_]) -> _Asked:
        """About a series, and about its slices alone."""
        return _Asked(self.score(features, position_mm), one_by_one(self._scorer, features), seen)


def measure_implanted(bundle: Path, series: Path, out: Path, *, each: int = EACH) -> dict[str, Any]:
    """AUCs by kind of blood, and how often a series is called; `out` gets `implanted.jpg`, where one can see them.

    Raises
    ------
    CannotGoOn
        the folder holds no slices, or none with brain enough
    BundleError
        the folder of the bundle is none
    """
    real, networks = read_series(series), _Bundle(bundle)
    head = head_of(*real.reduced(), real.position_mm)
    if not head.wide.any():
        raise CannotGoOn(f"{series} shows too little brain for blood to be put into it.")
    plain = networks.features(real.hu)
    clean = networks.ask(plain, real.position_mm, np.zeros(len(plain), bool))
    kinds, rows = {}, []
    for number, kind in enumerate(SUBTYPES):
        made = list(_made(head, kind, each, np.random.default_rng([SEED, number])))
        if not made:
            LOG.warning("%s: this head has no place for it", kind)
            continue
        asked = [_ask(networks, real, head, hu, plain) for hu in made]
        kinds[kind] = _figures(kind, asked, clean, head.wide, networks)
        rows.append([_largest(head, hu) for hu in islice(cycle(made), SHOWN)])
        LOG.info("%s: %s", kind, kinds[kind])
    out.mkdir(parents=True, exist_ok=True)
    sheet(out / "implanted.jpg", rows)
    otherwise = {name: _otherwise(networks, real, change) for name, change in CHANGES.items()}
    return {"without": _without(clean.given, networks), "otherwise": otherwise, "kinds": kinds}


def _otherwise(networks: _Bundle, real: RealSeries, change: Change) -> dict[str, Any]:
    """What is said without blood, had another scanner made the slices."""
    hu = np.rint(change(real.hu.astype(np.float32))).astype(np.int16)
    return _without(networks.score(networks.features(hu), real.position_mm), networks)


def _made(head: Head, kind: Label, each: int, rng: np.random.Generator) -> Iterator[Floats]:
    """As many series as are wanted in which some slice shows blood; fewer, where this head hardly shows any."""
    drawn = (implanted(head, kind, rng) for _ in range(TRIES * each))
    return islice((hu for hu in drawn if truth(head, hu).any()), each)


def _ask(networks: _Bundle, real: RealSeries, head: Head, hu: Floats, plain: NDArray[np.float32]) -> _Asked:
    """The CNN sees the changed slices alone: of the others it has said what it says."""
    brighter = hu - head.hu
    changed = np.flatnonzero(brighter.any(axis=(1, 2)))
    step = real.hu.shape[1] // hu.shape[1]
    fine = np.rint(brighter[changed]).astype(np.int16).repeat(step, axis=1).repeat(step, axis=2)
    features = plain.copy()
    features[changed] = networks.features(real.hu[changed] + fine)
    return networks.ask(features, real.position_mm, truth(head, hu))


def _figures(
    kind: Label, asked: list[_Asked], clean: _Asked, wide: NDArray[np.bool_], networks: _Bundle
) -> dict[str, Any]:
    bleeding = np.concatenate([one.given[0][one.seen] for one in asked])
    alone = np.concatenate([one.alone[0][one.seen] for one in asked])
    plain, plain_alone = clean.given[0][wide], clean.alone[0][wide]
    series = np.array([one.given[1][0] for one in asked])
    return {
        "series": len(asked),
        "slices": len(bleeding),
        "any_auc": _above(bleeding[:, 0], plain[:, 0]),
        "any_auc_alone": _above(alone[:, 0], plain_alone[:, 0]),
        "own_auc": _above(bleeding[:, LABELS.index(kind)], plain[:, LABELS.index(kind)]),
        "slices_called": rounded(float((bleeding[:, 0] > networks.at.slice["any"]).mean())),
        "series_called": rounded(float((series > networks.at.series["any"]).mean())),
        "series_above_clean": rounded(float((series > clean.given[1][0]).mean())),
    }


def _above(bleeding: NDArray[np.float32], plain: NDArray[np.float32]) -> float | None:
    """The AUC of slices with blood against slices without."""
    return rounded(auc(np.concatenate([bleeding, plain]), np.arange(len(bleeding) + len(plain)) < len(bleeding)))


def _without(given: Answer, networks: _Bundle) -> dict[str, Any]:
    slices, series = given
    return {
        "slices": len(slices),
        "median_any": rounded(float(np.median(slices[:, 0]))),
        "slices_called": int((slices[:, 0] > networks.at.slice["any"]).sum()),
        "series_any": rounded(float(series[0])),
        "series_called": bool(series[0] > networks.at.series["any"]),
    }


def _largest(head: Head, hu: Floats) -> Floats:
    """The slice with most blood."""
    slice_: Floats = hu[int((hu - head.hu).clip(0).sum(axis=(1, 2)).argmax())]
    return slice_
