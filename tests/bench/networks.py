"""The bundle's networks alone, in a process of their own: the least that a request can cost."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.cnn.engines import load_extractor
from services.cnn.settings import Settings
from services.common.card import Card, open_bundle
from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.windowing import apply_windows
from tests.bench.plan import Setup, apart
from tests.scans import head

CHUNK: Final = 16  # slices in one call of the CNN, as the gateway cuts a series


class Spent(NamedTuple):
    """What some work took: by the clock, and of all cores together."""

    wall_s: float
    cpu_s: float


class Bare:
    """Calls the networks of a setup. Its process sleeps in between, so that something else can be measured."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._apart: AbstractContextManager[ProcessPoolExecutor] = apart()

    def __enter__(self) -> Self:
        self._process = self._apart.__enter__()
        self.series(CHUNK + 2)
        self.cnn(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._apart.__exit__(kind, error, trace)

    def cnn(self, slices: int) -> Spent:
        """One call of the CNN."""
        return self._process.submit(_cnn, self._setup, slices).result()

    def rnn(self, slices: int) -> Spent:
        """One call of the RNN."""
        return self._process.submit(_rnn, self._setup, slices).result()

    def series(self, slices: int) -> Spent:
        """A whole series: chunks through the CNN, then the RNN."""
        return self._process.submit(_series, self._setup, slices).result()


def pictures(count: int) -> NDArray[np.uint8]:
    """(count, 512, 512, 3) uint8, heads through the windows."""
    return np.stack([apply_windows(head(skull=0.04 + 0.002 * (index % 34)), DEFAULT_RECIPE) for index in range(count)])


def _cnn(setup: Setup, slices: int) -> Spent:
    return _spent(partial(_extractor(setup).extract, _kept_pictures(slices)))


def _rnn(setup: Setup, slices: int) -> Spent:
    return _spent(partial(_score, setup.bundle, slices))


def _series(setup: Setup, slices: int) -> Spent:
    extract = _extractor(setup).extract
    chunks = [_kept_pictures(min(CHUNK, slices - at)) for at in range(0, slices, CHUNK)]

    def work() -> None:
        for chunk in chunks:
            extract(chunk)
        _score(setup.bundle, slices)

    return _spent(work)


def _spent(work: Callable[[], object]) -> Spent:
    begin, before = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - begin, time.process_time() - before)


def _score(bundle: Path, slices: int) -> None:
    features = np.zeros((slices, _card(bundle).feature_size), np.float32)
    _scorer(bundle).score(features, np.arange(slices, dtype=np.float32) * 5)


@lru_cache(maxsize=8)
def _kept_pictures(count: int) -> NDArray[np.uint8]:
    return pictures(count)


@lru_cache(maxsize=1)
def _card(bundle: Path) -> Card:
    return open_bundle(bundle).card


@lru_cache(maxsize=1)
def _extractor(setup: Setup) -> Any:
    settings = Settings(bundle=setup.bundle, engine=setup.engine, mixed_precision=setup.mixed_precision)
    return load_extractor(settings, open_bundle(setup.bundle))


@lru_cache(maxsize=1)
def _scorer(bundle: Path) -> Any:
    from services.rnn.model import SavedModelScorer  # noqa: PLC0415 - TensorFlow is loaded in that process only

    return SavedModelScorer(bundle / "rnn" / "1")
