import numpy as np
import pytest

from training.data.series import Series
from training.options.rnn import RnnFit
from training.train.rnn import draw_batch


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
    fit = RnnFit(steps=1, batch=4, longest=12)
    features, position_mm, labels, label_mask = draw_batch(np.random.default_rng(seed), [_study(9), _study(30)], fit)
    assert features.shape[:2] == position_mm.shape == labels.shape[:2] == label_mask.shape[:2]
    assert 1 <= features.shape[1] <= fit.longest
    assert np.all(np.diff(position_mm, axis=1) >= 0)
    np.testing.assert_array_equal(features[..., 0] * 5, position_mm)
    np.testing.assert_array_equal(labels[..., 0], features[..., 0] % 2 == 0)


def test_single_slices_are_among_them() -> None:
    rng, fit = np.random.default_rng(0), RnnFit(steps=1, batch=2)
    assert any(draw_batch(rng, [_study(30)], fit)[0].shape[1] == 1 for _ in range(40))
