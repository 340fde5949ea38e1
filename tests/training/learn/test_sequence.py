from pathlib import Path

import keras
import numpy as np
from keras import layers

from training.fit_rnn import RnnFit, Series
from training.learn.sequence import fit_members, new_members
from training.rnn import CLASSES, Rnn, RnnShape, joined

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


def test_members_differ_and_answer_together(tmp_path: Path) -> None:
    studies = _studies()
    members = new_members(SHAPE, FIT, _last(), studies)
    fit_members(members, SHAPE, FIT, studies, tmp_path / "going")
    assert len(members) == 2
    assert not any(np.array_equal(one, two) for one, two in zip(*map(_weights, members), strict=True) if one.ndim == 2)
    whole, one, two = (
        rnn.logits([studies[0].features[None], studies[0].position_mm[None]]) for rnn in (joined(members), *members)
    )
    for together, first, second in zip(whole, one, two, strict=True):
        np.testing.assert_allclose(together, (np.asarray(first) + np.asarray(second)) / 2, atol=1e-5)


def test_a_member_that_has_learnt_is_passed_over(tmp_path: Path) -> None:
    studies, last = _studies(), _last()
    straight, broken, again = (new_members(SHAPE, FIT, last, studies) for _ in range(3))
    fit_members(straight, SHAPE, FIT, studies, tmp_path / "straight")
    fit_members(broken[:1], SHAPE, FIT, studies, tmp_path / "broken", every=1)
    kept = (tmp_path / "broken" / "0.npz").stat().st_mtime_ns
    fit_members(again, SHAPE, FIT, studies, tmp_path / "broken", every=1)
    assert (tmp_path / "broken" / "0.npz").stat().st_mtime_ns == kept
    for one, two in zip(straight, again, strict=True):
        for first, second in zip(_weights(one), _weights(two), strict=True):
            np.testing.assert_allclose(first, second, atol=1e-6)
