from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from training.data.series import Series
from training.networks.rnn import CLASSES, Rnn, RnnShape
from training.networks.source_rnn import SourceShape
from training.options.rnn import RnnOptions
from training.train.rnn import draw_pieces, fit_member, fit_rnn, new_members, pad_to

SHAPE = RnnShape(width=8, state=6)
OPTIONS = RnnOptions(steps=2, batch=4, longest=6, members=2)
SIZE = 7


def _study(count: int) -> Series:
    index = np.arange(count)
    return Series(
        features=np.repeat(index[:, None], 4, axis=1).astype(np.float32),
        position_mm=index.astype(np.float32) * 5,
        labels=np.repeat(index[:, None] % 2 == 0, 6, axis=1),
        label_mask=np.ones((count, 6), bool),
    )


@pytest.mark.parametrize("seed", range(12))
def test_pieces_stay_in_order_and_together(seed: int) -> None:
    fit = RnnOptions(steps=1, batch=4, longest=12)
    features, position_mm, labels, label_mask = draw_pieces(np.random.default_rng(seed), [_study(9), _study(30)], fit)
    assert features.shape[:2] == position_mm.shape == labels.shape[:2] == label_mask.shape[:2]
    assert 1 <= features.shape[1] <= fit.longest
    assert np.all(np.diff(position_mm, axis=1) >= 0)
    np.testing.assert_array_equal(features[..., 0] * 5, position_mm)
    np.testing.assert_array_equal(labels[..., 0], features[..., 0] % 2 == 0)


def test_single_slices_are_among_them() -> None:
    rng, fit = np.random.default_rng(0), RnnOptions(steps=1, batch=2)
    assert any(draw_pieces(rng, [_study(30)], fit)[0].shape[1] == 1 for _ in range(40))


def _studies(*counts: int) -> list[Series]:
    rng = np.random.default_rng(0)
    return [
        Series(
            rng.normal(0, 1, (count, SIZE)).astype(np.float32),
            np.arange(count, dtype=np.float32) * 5,
            rng.random((count, CLASSES)) < 0.3,
            np.ones((count, CLASSES), bool),
        )
        for count in counts
    ]


def _last() -> layers.Dense:
    keras.utils.set_random_seed(0)
    layer = layers.Dense(CLASSES)
    layer.build((None, SIZE))
    return layer


def _weights(rnn: Rnn) -> list[np.ndarray]:
    return [np.asarray(each) for each in rnn.logits.trainable_variables]


def test_members_differ_and_a_finished_one_is_not_trained_again(tmp_path: Path) -> None:
    studies, last = _studies(5, 9, 12), _last()
    members = new_members(SHAPE, OPTIONS, last, studies)
    assert any(not np.array_equal(one, two) for one, two in zip(*map(_weights, members), strict=True))
    whole = fit_rnn(SHAPE, OPTIONS, last, studies, tmp_path)
    written = (tmp_path / "0.npz").stat().st_mtime_ns
    again = fit_rnn(SHAPE, OPTIONS, last, studies, tmp_path)
    assert (tmp_path / "0.npz").stat().st_mtime_ns == written
    for one, two in zip(_weights(whole), _weights(again), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_an_interrupted_member_resumes_with_the_same_batches(tmp_path: Path) -> None:
    studies, last, options = _studies(5, 9, 12), _last(), RnnOptions(steps=3, batch=4, longest=6)
    (straight,), (resumed,) = (new_members(SHAPE, options, last, studies) for _ in range(2))
    fit_member(straight, options, studies, tmp_path / "straight.npz", source=False, every=2)

    class Killed(Exception):
        pass

    class KillingStudies(list[Series]):
        draws = 0

        def __getitem__(self, index: object) -> Series:  # type: ignore[override]
            KillingStudies.draws += 1
            if (tmp_path / "resumed.npz").exists():
                raise Killed
            return list.__getitem__(self, int(index))  # type: ignore[call-overload] # indices are integers

    with pytest.raises(Killed):
        fit_member(resumed, options, KillingStudies(studies), tmp_path / "resumed.npz", source=False, every=2)
    (resumed,) = new_members(SHAPE, options, last, studies)
    fit_member(resumed, options, studies, tmp_path / "resumed.npz", source=False)
    for one, two in zip(_weights(straight), _weights(resumed), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_the_source_projects_rnn_trains_on_short_and_long_series() -> None:
    studies = _studies(3, 19, 30)
    options = RnnOptions(steps=2, batch=4, rate=1e-3)
    shape = SourceShape(lstm=(6, 5), gru=4)
    (fresh,) = new_members(shape, options, _last(), studies)
    before, after = _weights(fresh), _weights(fit_rnn(shape, options, _last(), studies))
    assert all(np.isfinite(each).all() for each in after)
    assert any(not np.array_equal(one, two) for one, two in zip(before, after, strict=True))


def test_padding_is_masked_and_has_no_position() -> None:
    (piece,) = _studies(5)
    features, position_mm, labels, label_mask = pad_to(piece, 8)
    assert features.shape == (8, SIZE)
    assert np.isnan(position_mm).tolist() == [False] * 5 + [True] * 3
    assert not labels[5:].any()
    assert not label_mask[5:].any()
