from pathlib import Path

import keras
import numpy as np
from keras import layers

from training.data.series import Series
from training.networks.rnn import CLASSES, Rnn, RnnShape, joined
from training.options.rnn import RnnFit
from training.train.sequence import fit_members, new_members

SHAPE = RnnShape(width=8, state=6)
FIT = RnnFit(steps=2, batch=4, longest=6, members=2)
SIZE = 7


def _studies() -> list[Series]:
    rng = np.random.default_rng(0)
    return [
        Series(
            rng.normal(0, 1, (count, SIZE)).astype(np.float32),
            np.arange(count, dtype=np.float32) * 5,
            rng.random((count, CLASSES)) < 0.3,
            np.ones((count, CLASSES), bool),
        )
        for count in (5, 9, 12)
    ]


def _last() -> layers.Dense:
    keras.utils.set_random_seed(0)
    layer = layers.Dense(CLASSES)
    layer.build((None, SIZE))
    return layer


def _weights(rnn: Rnn) -> list[np.ndarray]:
    return [np.asarray(each) for each in rnn.logits.trainable_variables]


def test_members_differ_answer_together_and_learn_once(tmp_path: Path) -> None:
    studies, last = _studies(), _last()
    broken_off, members = new_members(SHAPE, FIT, last, studies)[:1], new_members(SHAPE, FIT, last, studies)
    fit_members(broken_off, SHAPE, FIT, studies, tmp_path / "going", every=1)
    kept = (tmp_path / "going" / "0.npz").stat().st_mtime_ns
    fit_members(members, SHAPE, FIT, studies, tmp_path / "going", every=1)

    assert (tmp_path / "going" / "0.npz").stat().st_mtime_ns == kept
    for one, two in zip(*map(_weights, (broken_off[0], members[0])), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    assert not any(np.array_equal(one, two) for one, two in zip(*map(_weights, members), strict=True) if one.ndim == 2)
    whole, one, two = (
        rnn.logits([studies[0].features[None], studies[0].position_mm[None]]) for rnn in (joined(members), *members)
    )
    for together, first, second in zip(whole, one, two, strict=True):
        np.testing.assert_allclose(together, (np.asarray(first) + np.asarray(second)) / 2, atol=1e-5)
