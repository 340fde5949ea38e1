"""Features of whole studies, kept in a run's folder: a build that was stopped makes no phantom a second time."""

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
from training.io.errors import translate_write_errors
from training.networks.cnn import Cnn
from training.networks.extractor import Extractor, extractor
from training.phantom.study_options import StudyRequest

Make = Callable[[Sequence[StudyRequest], str, ScannerAugment], list[StudyFeatures]]
_SERIES: Final = tuple(field.name for field in fields(Series))
_COUNTS: Final = ("bright", "brain")


class FeatureCache:
    """Cases by one CNN. What another CNN made of a study, or this one of another study, is made anew.

    make : makes the cases of studies; `name` is for the log
    made_by : tells one CNN from another
    """

    def __init__(self, make: Make, made_by: str, folder: Path) -> None:
        self._make, self._made_by, self._folder = make, made_by, folder
        self.spent_before_s = 0.0  # by earlier runs on what this one took up

    def of(
        self, wanted: Sequence[StudyRequest], *, name: str, others: ScannerAugment = NO_AUGMENT
    ) -> list[StudyFeatures]:
        """The cases of these studies, in their order; `name` is said in the log and names the file."""
        path = self._folder / f"{name.replace(': ', '-').replace(' ', '-')}.npz"
        key = sha256(f"{self._made_by} {list(wanted)} {others}".encode()).hexdigest()
        if path.exists():
            with np.load(path) as held:
                if str(held["key"]) == key:
                    self.spent_before_s += float(held["spent_s"])
                    return _apart({column: held[column] for column in held.files})
        begin = time.monotonic()
        made = self._make(wanted, name, others)
        words = {"key": np.array(key), "spent_s": np.array(time.monotonic() - begin)}
        part = path.with_suffix(".part.npz")
        with translate_write_errors(path):
            np.savez(part, **words, **_together(made))  # type: ignore[arg-type] # an option among the keywords is bool
            part.replace(path)
        return made


class CnnFeatureCache(FeatureCache):
    """Cases by a CNN in training."""

    def __init__(self, cnn: Cnn, folder: Path) -> None:
        extract: Extractor = extractor(cnn)
        weights = sha256(b"".join(variable.numpy().tobytes() for variable in cnn.trunk.variables)).hexdigest()
        super().__init__(
            lambda wanted, name, others: study_features(extract, wanted, name=name, others=others), weights, folder
        )


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
