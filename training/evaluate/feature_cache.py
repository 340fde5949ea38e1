"""Features of phantom studies, cached in a run's folder: an interrupted build makes no phantom twice.

Shards have a file of their own, `training.data.features`: float16, and resumable among its 750,000 slices.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.scanner_augment import NO_AUGMENT, ScannerAugment
from training.data.series import Series
from training.evaluate.predictions import StudyFeatures, study_features
from training.io.files import write_atomically
from training.networks.cnn import Cnn
from training.networks.extractor import in_chunks
from training.networks.feature_engine import feature_engine
from training.phantom.study_options import StudyRequest

Make = Callable[[Sequence[StudyRequest], str, ScannerAugment], list[StudyFeatures]]
_SERIES: Final = tuple(field.name for field in fields(Series))
CHUNK: Final = 64  # pictures of one call
_COUNTS: Final = ("bright", "brain")


class FeatureCache:
    """Features by one CNN; those of another CNN or of other studies are computed again.

    Parameters
    ----------
    make : computes the features of studies; its second argument is a name for the log
    digest : of the CNN's weights
    """

    def __init__(self, make: Make, digest: str, folder: Path) -> None:
        self._make, self._digest, self._folder = make, digest, folder
        self.spent_before_s = 0.0  # by earlier runs, on features read from the cache

    def of(
        self, wanted: Sequence[StudyRequest], *, name: str, others: ScannerAugment = NO_AUGMENT
    ) -> list[StudyFeatures]:
        """Features of these studies, in their order; `name` is for the log and for the file."""
        path = self._folder / f"{name.replace(': ', '-').replace(' ', '-')}.npz"
        key = sha256(f"{self._digest} {list(wanted)} {others}".encode()).hexdigest()
        if path.exists():
            with np.load(path) as held:
                if str(held["key"]) == key:
                    self.spent_before_s += float(held["spent_s"])
                    return _apart({column: held[column] for column in held.files})
        start = time.monotonic()
        made = self._make(wanted, name, others)
        header = {"key": np.array(key), "spent_s": np.array(time.monotonic() - start)}
        write_atomically(path, lambda part: _save(part, header | _together(made)))
        return made


class CnnFeatureCache(FeatureCache):
    """Features by a CNN in training."""

    def __init__(self, cnn: Cnn, folder: Path) -> None:
        engine = feature_engine(cnn.trunk)
        weights = sha256(b"".join(variable.numpy().tobytes() for variable in cnn.trunk.variables)).hexdigest()

        def make(wanted: Sequence[StudyRequest], name: str, others: ScannerAugment) -> list[StudyFeatures]:
            return study_features(lambda small: in_chunks(engine, small, CHUNK), wanted, name=name, others=others)

        super().__init__(make, weights, folder)


def _save(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:  # savez adds a suffix to a path
        np.savez(file, **arrays)  # type: ignore[arg-type] # an option among the keywords is bool


def _together(made: Sequence[StudyFeatures]) -> dict[str, NDArray[Any]]:
    columns = {name: np.concatenate([getattr(case.series, name) for case in made]) for name in _SERIES}
    columns |= {name: np.concatenate([getattr(case, name) for case in made]) for name in _COUNTS}
    return columns | {"slices": np.array([len(case.bright) for case in made])}


def _apart(columns: dict[str, NDArray[Any]]) -> list[StudyFeatures]:
    ends = np.cumsum(columns["slices"])
    places = [slice(end - size, end) for size, end in zip(columns["slices"], ends, strict=True)]
    return [
        StudyFeatures(
            Series(**{name: columns[name][place] for name in _SERIES}),
            **{name: columns[name][place] for name in _COUNTS},
        )
        for place in places
    ]
