import numpy as np
import pytest
import tensorflow as tf

from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.windowing import apply_windows
from tests.training.small_networks import small_cnn
from training.networks.cnn import BrainChannels, CnnShape, build_cnn
from training.networks.imagenet import lite0_weights
from training.networks.shrink import shrink


def _head(*, brain_hu: int = 30, scalp_hu: int = 40, lesion_hu: int = 30) -> np.ndarray:
    """A head of one slice, (1, 512, 512, 3) uint8: scalp around bone around brain around a lesion."""
    steps = np.linspace(-1, 1, 512)
    radius = np.hypot(steps[:, None], steps[None])
    hu = np.full((512, 512), -1000, np.int16)
    for edge, value in ((0.85, scalp_hu), (0.78, 1000), (0.7, brain_hu)):
        hu[radius < edge] = value
    hu[240:280, 300:340] = lesion_hu
    return apply_windows(hu, DEFAULT_RECIPE)[None]


def _brain(slices: np.ndarray) -> np.ndarray:
    return np.asarray(BrainChannels()(tf.constant(shrink(slices.astype(np.int32)))))


def test_the_scalp_changes_nothing() -> None:
    seen, brighter = _brain(_head(scalp_hu=40)), _brain(_head(scalp_hu=75))
    steps = np.linspace(-1, 1, 256)
    radius = np.hypot(steps[:, None], steps[None])
    # On the skull's outer edge a pixel of the small picture is bone and scalp at once.
    away = np.abs(radius - 0.78) > 0.01
    np.testing.assert_allclose(seen[:, away], brighter[:, away], atol=1e-6)


def test_the_first_channel_is_relative_to_the_mean_of_the_brain() -> None:
    seen = _brain(_head(brain_hu=36, lesion_hu=66))[0, ..., 0]
    assert abs(seen[128, 64]) < 0.1
    assert 1.8 < seen[130, 160] < 2.2


@pytest.mark.parametrize("share", [0.0, 0.003, 0.05, 1.0])
def test_a_pixel_inside_has_bone_on_all_four_sides(share: float) -> None:
    wall = np.random.default_rng(0).random((4, 256, 256)) < share
    before = [np.logical_or.accumulate(wall, axis=axis) for axis in (1, 2)]
    after = [np.flip(np.logical_or.accumulate(np.flip(wall, axis), axis=axis), axis) for axis in (1, 2)]
    beyond = [np.roll(each, -1, axis) for axis, each in zip((1, 2), after, strict=True)]
    beyond[0][:, -1], beyond[1][:, :, -1] = False, False
    air = np.float32(20)  # level of the bone window below bone, so that brain is seen where it is inside
    small = np.stack([np.where(wall, 255, air), np.full(wall.shape, 64)], axis=-1).astype(np.float32)
    seen = np.asarray(BrainChannels()(tf.constant(small)))[..., 1]
    inside = before[0] & beyond[0] & before[1] & beyond[1] & ~wall
    np.testing.assert_array_equal(seen != 0, inside)


def test_features_of_any_number_of_slices() -> None:
    cnn = small_cnn()
    size = cnn.last.kernel.shape[0]
    for count in (1, 3):
        features, blood = cnn.serving(tf.zeros((count, 512, 512, 3), tf.uint8))
        assert features.shape == (count, size)
        assert blood.shape == (count, 32, 32, 5)
    features, blood = cnn.trunk(tf.zeros((2, 256, 256, 2), tf.uint8))
    assert features.shape == (2, size)
    assert blood.shape == (2, 32, 32, 5)


def test_black_and_white_slices_give_finite_features() -> None:
    cnn = small_cnn()
    for value in (0, 255):
        features, blood = cnn.serving(tf.fill((1, 512, 512, 3), tf.constant(value, tf.uint8)))
        assert np.isfinite(features).all()
        assert np.all((np.asarray(blood) >= 0) & (np.asarray(blood) <= 1))


def test_lite0_starts_with_the_weights_of_imagenet() -> None:
    cnn = build_cnn(CnnShape(backbone="efficientnet-lite0"))
    stem = np.asarray(cnn.trunk.get_layer("lite0_conv_stem").kernel)
    np.testing.assert_array_equal(stem, np.transpose(lite0_weights()["_conv_stem.weight"], (2, 3, 1, 0)))
