"""Batches from a rolling pool of phantoms, made by worker processes during training.

The pool's content depends on the step alone: a new round of studies replaces the oldest one after a fixed number of
steps, whatever the speed of the workers. The same seed gives the same batches, and a resumed run continues with them.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from services.common.labels import LABELS, SUBTYPES
from training.data.pictures import GRID, Pictures, concatenate, make_stream_pictures
from training.io.pool import cores, worker_pool
from training.options.stream import StreamOptions
from training.phantom.geometry import SIZE

Batch = tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.uint8]]
_AHEAD = 2  # batches drawn in advance
CELL = 8  # pixels of a small picture along one cell of the map of blood


class Stream:
    """The pool and its worker processes; use it in a `with` statement."""

    def __init__(
        self, plan: StreamOptions, *, batch: int, positives: float, seed: int, processes: int | None = None
    ) -> None:
        self._plan, self._batch, self._seed = plan, batch, seed
        self._count = round(batch * positives)
        self._processes = processes or cores()

    def __enter__(self) -> Self:
        self._workers = worker_pool(self._processes, _lower_priority)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workers.shutdown(wait=True, cancel_futures=True)

    def batches(self, first_step: int = 0) -> Iterator[Batch]:
        """Batches without end, from that of a step on.

        small : (b, 256, 256, 2) uint8
        labels, label_mask : (b, 6) bool
        blood : (b, 32, 32, 5) uint8

        The next batches are drawn during a training step.
        """
        thread, drawn = ThreadPoolExecutor(1), self._drawn(first_step)
        return _ahead(thread, drawn, deque(thread.submit(next, drawn) for _ in range(_AHEAD)))

    def _drawn(self, first_step: int) -> Iterator[Batch]:
        last = self._plan.rounds_by(first_step)
        start = max(last - self._plan.rounds_kept, 0)
        pool: deque[Pictures] = deque(maxlen=self._plan.rounds_kept)
        rounds = self._rounds(start)
        index = _Index(())
        for step in count(first_step):
            missing = self._plan.rounds_by(step) - start - index.rounds
            if missing > 0:
                pool.extend(next(rounds) for _ in range(missing))
                index = _Index(tuple(pool), rounds=index.rounds + missing)
            yield self._draw(index, np.random.default_rng([self._seed, step]))

    def _rounds(self, number: int) -> Iterator[Pictures]:
        """Rounds in their order; the workers make a few in advance."""
        coming: deque[list[Future[Pictures]]] = deque()
        while True:
            while len(coming) < 1 + self._processes:
                coming.append(
                    [self._workers.submit(make_stream_pictures, wanted) for wanted in self._plan.requests(number)]
                )
                number += 1
            yield concatenate(future.result() for future in coming.popleft())

    def _draw(self, index: "_Index", rng: np.random.Generator) -> Batch:
        chosen = [*rng.choice(index.positive, self._count), *rng.choice(index.negative, self._batch - self._count)]
        small, labels, label_mask, blood = empty_batch(len(chosen))
        for number, (part, place) in enumerate(chosen):
            made = index.pool[part]
            _move(made, place, rng, small[number], blood[number])
            labels[number], label_mask[number] = made.labels[place], made.label_mask[place]
        return small, labels, label_mask, blood


def empty_batch(size: int) -> Batch:
    """A batch of black pictures without blood."""
    labels = np.zeros((size, len(LABELS)), np.bool_)
    grid = np.zeros((size, GRID, GRID, len(SUBTYPES)), np.uint8)
    return np.zeros((size, SIZE, SIZE, 2), np.uint8), labels, ~labels, grid


def _ahead(thread: ThreadPoolExecutor, drawn: Iterator[Batch], coming: "deque[Future[Batch]]") -> Iterator[Batch]:
    with thread:
        while True:
            yield coming.popleft().result()
            coming.append(thread.submit(next, drawn))


def _lower_priority() -> None:
    os.nice(5)  # the training step comes first


class _Index:
    """Slices of the pool with and without blood: (m, 2), the round and the slice in it."""

    def __init__(self, pool: tuple[Pictures, ...], rounds: int = 0) -> None:
        self.pool, self.rounds = pool, rounds
        self.positive, self.negative = (_places(pool, value) for value in (True, False))


def _places(pool: tuple[Pictures, ...], value: bool) -> NDArray[np.intp]:  # noqa: FBT001 - a label's value
    found = [np.flatnonzero(made.labels[:, 0] == value) for made in pool]
    parts = np.repeat(np.arange(len(found)), [len(places) for places in found])
    return np.stack([parts, np.concatenate([*found, np.array([], np.intp)])], axis=1)


def _move(
    made: Pictures, place: int, rng: np.random.Generator, small: NDArray[np.uint8], blood: NDArray[np.uint8]
) -> None:
    """Write one slice and its blood, randomly mirrored, and shifted by whole cells of the map."""
    # Both channels of a pixel are one number here: mirroring pairs of bytes is slow.
    pixels, cells = made.small[place].view(np.uint16), made.blood[place]
    if rng.integers(2):
        pixels, cells = pixels[:, ::-1], cells[:, ::-1]
    down, right = (int(value) for value in rng.integers(-2, 3, 2))
    _roll(pixels, CELL * down, CELL * right, small.view(np.uint16))
    _roll(cells, down, right, blood)


def _roll(source: NDArray[Any], down: int, right: int, out: NDArray[Any]) -> None:
    """As `numpy.roll`, in one copy: pixels beyond one edge, mostly air, enter at the other."""
    rows, columns = down % len(source), right % source.shape[1]
    above, left = len(source) - rows, source.shape[1] - columns
    for there, here in ((slice(rows, None), slice(above)), (slice(rows), slice(above, None))):
        out[there, columns:] = source[here, :left]
        out[there, :columns] = source[here, left:]
