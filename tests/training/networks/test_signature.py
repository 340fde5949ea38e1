import tensorflow as tf

from tests.training.small_networks import small_cnn, small_rnn
from training.networks.signature import rnn_signature


def test_the_signature_takes_a_series_of_any_length() -> None:
    rnn = small_rnn(small_cnn())
    size = rnn.logits.input_shape[0][-1]
    call = tf.function(rnn.serving, input_signature=rnn_signature(size))
    for count in (1, 4):
        found = call(tf.zeros((count, size)), tf.range(count, dtype=tf.float32))
        assert found["slice_probabilities"].shape == (count, 6)


def test_its_names_are_those_of_the_service() -> None:
    assert [tensor.name for tensor in rnn_signature(8)] == ["features", "position_mm"]
