"""Training of the RNN on the features of shards: the phantoms' way, or the source project's windows."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from training.data.series import Series
from training.io.checkpoints import restore, save
from training.networks.rnn import Rnn, RnnShape, build_rnn
from training.networks.source_rnn import SourceShape, build_source_rnn
from training.options.rnn import RnnFit
from training.train.rnn import Draw, draw_batch, teach

LOG = logging.getLogger(__name__)
LOOKED_AT: Final = 1000  # series that say what features are like
KEPT_STEPS: Final = 200  # steps between two checkpoints
WINDOW: Final = 19  # slices, in the source project


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The RNN's checkpoints while it learns."""

    path: Path
    every: int = KEPT_STEPS

    def restore(self, variables: Sequence[Any]) -> int:
        """Put back the last one."""
        return int(restore(self.path, variables)["step"]) if self.path.exists() else 0

    def after(self, step: int, variables: Sequence[Any]) -> None:
        """Leave one where it is time to."""
        if step % self.every == 0:
            save(self.path, variables, step=step)


def new_rnn(shape: RnnShape | SourceShape, last: layers.Dense, studies: Sequence[Series]) -> Rnn:
    """A network with fresh weights behind the CNN's last layer."""
    features = np.concatenate([study.features for study in studies[:LOOKED_AT]])
    return build_source_rnn(shape, features) if isinstance(shape, SourceShape) else build_rnn(shape, last, features)


def new_members(shape: RnnShape | SourceShape, fit: RnnFit, last: layers.Dense, studies: Sequence[Series]) -> list[Rnn]:
    """As many fresh networks as together make the RNN; each has weights by a seed of its own."""
    members = []
    for number in range(fit.members):
        keras.utils.set_random_seed(fit.seed + number)
        members.append(new_rnn(shape, last, studies))
    return members


def fit_members(
    members: Sequence[Rnn],
    shape: RnnShape | SourceShape,
    fit: RnnFit,
    studies: Sequence[Series],
    folder: Path,
    *,
    every: int = KEPT_STEPS,
) -> None:
    """Let each network learn from these series, in an order of its own.

    folder : of their checkpoints; a member that had learnt before it was broken off is passed over
    every : steps between two checkpoints of a member
    """
    folder.mkdir(exist_ok=True)
    for number, member in enumerate(members):
        if len(members) > 1:
            LOG.info("rnn: network %d of %d", number + 1, len(members))
        own = replace(fit, seed=fit.seed + number)
        fit_on(member, shape, own, studies, Checkpoints(folder / f"{number}.npz", every))


def fit_on(
    rnn: Rnn, shape: RnnShape | SourceShape, fit: RnnFit, studies: Sequence[Series], checkpoints: Checkpoints
) -> None:
    """Let the network learn from these series."""
    keras.utils.set_random_seed(fit.seed)
    source = isinstance(shape, SourceShape)
    optimizer = keras.optimizers.Nadam(fit.rate, clipnorm=1.0) if source else None
    teach(
        rnn,
        fit,
        _windows(studies, fit) if source else _pieces(studies, fit),
        optimizer=optimizer,
        keep=checkpoints,
    )


def _pieces(studies: Sequence[Series], fit: RnnFit) -> Draw:
    return lambda step: draw_batch(np.random.default_rng([fit.seed, step]), studies, fit)


def _windows(studies: Sequence[Series], fit: RnnFit) -> Draw:
    """Windows of one length from series drawn by the step."""

    def draw(step: int) -> tuple[NDArray[Any], ...]:
        rng = np.random.default_rng([fit.seed, step])
        chosen = [studies[number] for number in rng.integers(0, len(studies), fit.batch)]
        rows = [_window(rng, study, WINDOW) for study in chosen]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))

    return draw


def _window(rng: np.random.Generator, study: Series, length: int) -> tuple[NDArray[Any], ...]:
    start = int(rng.integers(0, max(len(study.features) - length, 0) + 1))
    part = slice(start, start + length)
    return filled_up(
        Series(study.features[part], study.position_mm[part], study.labels[part], study.label_mask[part]), length
    )


def filled_up(piece: Series, length: int) -> tuple[NDArray[Any], ...]:
    """A piece with rows behind it that are no slices: nothing is certain of them, and their position is NaN."""
    missing = length - len(piece.features)
    rows = ((0, missing), (0, 0))
    return (
        np.pad(piece.features, rows),
        np.pad(piece.position_mm, (0, missing), constant_values=np.nan),
        np.pad(piece.labels, rows),
        np.pad(piece.label_mask, rows),
    )
