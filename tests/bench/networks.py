"""The networks of a bundle alone, in another process: the lower bound of a request's time."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from services.cnn.engines import load_extractor
from services.cnn.settings import Settings
from services.common.card import Card, open_bundle
from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.windowing import apply_windows
from services.rnn.model import GraphScorer, OpenVinoScorer, SavedModelScorer
from tests.bench.costs import Cost
from tests.bench.plan import Setup, separate_process
from tests.scans import head

CHUNK: Final = 16  # slices in one call of the CNN, as the gateway cuts a series


class BareNetworks:
    """Calls the networks of a setup in a process that is idle between calls."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._context: AbstractContextManager[ProcessPoolExecutor] = separate_process()

    def __enter__(self) -> Self:
        self._process = self._context.__enter__()
        self.series(CHUNK + 2)
        self.cnn(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def cnn(self, slices: int) -> Cost:
        """One call of the CNN."""
        return self._process.submit(_cnn, self._setup, slices).result()

    def rnn(self, slices: int) -> Cost:
        """One call of the RNN."""
        return self._process.submit(_rnn, self._setup, slices).result()

    def series(self, slices: int) -> Cost:
        """A whole series: chunks through the CNN, then the RNN."""
        return self._process.submit(_series, self._setup, slices).result()


def pictures(count: int) -> NDArray[np.uint8]:
    """(count, 512, 512, 3) uint8: windowed slices of synthetic heads."""
    return np.stack([apply_windows(head(skull=0.04 + 0.002 * (index % 34)), DEFAULT_RECIPE) for index in range(count)])


def _cnn(setup: Setup, slices: int) -> Cost:
    return _measured(partial(_extractor(setup).extract, _cached_pictures(slices)))


def _rnn(setup: Setup, slices: int) -> Cost:
    return _measured(partial(_score, setup, slices))


def _series(setup: Setup, slices: int) -> Cost:
    extract = _extractor(setup).extract
    chunks = [_cached_pictures(min(CHUNK, slices - at)) for at in range(0, slices, CHUNK)]

    def work() -> None:
        for chunk in chunks:
            extract(chunk)
        _score(setup, slices)

    return _measured(work)


def _measured(work: Callable[[], object]) -> Cost:
    begin, before = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - begin, time.process_time() - before)


def _score(setup: Setup, slices: int) -> None:
    features = np.zeros((slices, _card(setup.bundle).feature_size), np.float32)
    _scorer(setup).score(features, np.arange(slices, dtype=np.float32) * 5)


@lru_cache(maxsize=8)
def _cached_pictures(count: int) -> NDArray[np.uint8]:
    return pictures(count)


@lru_cache(maxsize=1)
def _card(bundle: Path) -> Card:
    return open_bundle(bundle).card


@lru_cache(maxsize=1)
def _extractor(setup: Setup) -> Any:
    settings = Settings(bundle=setup.bundle, engine=setup.engine, mixed_precision=setup.mixed_precision)
    return load_extractor(settings, open_bundle(setup.bundle))


@lru_cache(maxsize=1)
def _scorer(setup: Setup) -> GraphScorer:
    scorers = {"tensorflow": SavedModelScorer, "openvino": OpenVinoScorer}
    return scorers[setup.engine](setup.bundle / "rnn" / "1")
