from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.training.small_networks import SMALL_RNN, small_cnn, small_rnn
from training.networks.rnn import PositionEncoding, Rnn, Temperatures, build_rnn, joined, new_temperatures

Serving = Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]


@pytest.fixture(scope="module")
def rnn() -> Rnn:
    return small_rnn(small_cnn())


@pytest.fixture(scope="module")
def serving(rnn: Rnn) -> Serving:
    size = rnn.logits.input_shape[0][-1]
    signature = [tf.TensorSpec([None, size], tf.float32), tf.TensorSpec([None], tf.float32)]
    call: Serving = tf.function(rnn.serving, input_signature=signature)
    return call


def _series(rnn: Rnn, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(count)
    size = rnn.logits.input_shape[0][-1]
    position_mm = np.cumsum(rng.uniform(0.5, 7, count)) - 400
    return tf.constant(rng.normal(0, 1, (count, size)), tf.float32), tf.constant(position_mm, tf.float32)


@pytest.mark.parametrize("count", [1, 2, 300])
def test_series_of_any_length(rnn: Rnn, serving: Serving, count: int) -> None:
    found = serving(*_series(rnn, count))
    slices, series = found["slice_probabilities"].numpy(), found["series_probabilities"].numpy()
    assert slices.shape == (count, 6)
    assert series.shape == (6,)
    for probabilities in (slices, series):
        assert np.all((probabilities >= 0) & (probabilities <= 1))


@pytest.mark.parametrize("count", [1, 40])
def test_any_is_at_least_every_subtype(rnn: Rnn, serving: Serving, count: int) -> None:
    for tensor in serving(*_series(rnn, count)).values():
        probabilities = tensor.numpy()
        assert np.all(probabilities[..., :1] >= probabilities[..., 1:])


@pytest.mark.parametrize("offset_mm", [-1500.0, 12.5, 900.0])
def test_a_shift_of_all_positions_changes_nothing(rnn: Rnn, serving: Serving, offset_mm: float) -> None:
    features, position_mm = _series(rnn, 30)
    here, there = serving(features, position_mm), serving(features, position_mm + offset_mm)
    for name in here:
        np.testing.assert_allclose(here[name], there[name], atol=1e-4)


def test_a_single_slice_is_encoded_without_distances() -> None:
    for position_mm in (0.0, 77.0):
        numbers = np.asarray(PositionEncoding()(tf.constant([[position_mm]])))
        assert numbers.shape == (1, 1, 11)
        np.testing.assert_array_equal(numbers[0, 0, :3], 0)


def test_a_temperature_divides_the_logits() -> None:
    temperatures = Temperatures()
    temperatures.build()
    temperatures.slice.assign([2.0] * 6)
    logits = tf.constant([[2.0] * 6])
    assert float(temperatures(logits, logits[0])["slice_probabilities"][0, 0]) == pytest.approx(1 / (1 + np.exp(-1)))
    assert float(temperatures(logits, logits[0])["series_probabilities"][0]) == pytest.approx(1 / (1 + np.exp(-2)))


def test_the_last_layer_of_the_cnn_is_copied() -> None:
    cnn = small_cnn()
    np.testing.assert_array_equal(small_rnn(cnn).logits.get_layer("last").kernel, cnn.last.kernel)


def test_members_give_the_mean_of_their_logits() -> None:
    cnn = small_cnn()
    members = [build_rnn(SMALL_RNN, cnn.last, np.ones((3, 8), np.float32) * number) for number in (1, 2)]
    together = joined(members)
    series = [np.random.default_rng(0).normal(0, 1, (1, 5, 8)).astype(np.float32), np.arange(5, dtype=np.float32)[None]]
    every = [member.logits(series) for member in members]
    for found, one, two in zip(together.logits(series), *every, strict=True):
        np.testing.assert_allclose(found, (one + two) / 2, rtol=1e-5, atol=1e-6)
    assert joined(members[:1]) is members[0]


def test_neighbours_are_encoded_by_their_distance() -> None:
    found = np.asarray(PositionEncoding()(tf.constant([[0.0, 5.0, 15.0]])))
    np.testing.assert_allclose(found[0, :, 0], [0, 0.5, 1.0])  # to the slice before, in cm
    np.testing.assert_allclose(found[0, :, 1], [0.5, 1.0, 0])  # to the slice after


def test_new_temperatures_are_one() -> None:
    temperatures = new_temperatures()
    for variable in (temperatures.slice, temperatures.series):
        np.testing.assert_array_equal(variable, np.ones(6))
