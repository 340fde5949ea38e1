from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from services.common.card import BundleError, Card, open_bundle
from services.common.labels import LABELS
from services.common.operating_points import Thresholds
from services.common.recipe import DEFAULT_RECIPE
from services.common.saved_model import load_signature
from tests.training.small_networks import small_cnn, small_rnn
from training.bundle.export import ExportMismatch, check, save_networks, seal
from training.bundle.reference import replay
from training.networks.cnn import Cnn, CnnShape, build_cnn
from training.networks.rnn import Rnn

Written = tuple[Path, Cnn, Rnn]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder, cnn = tmp_path_factory.mktemp("bundle") / "small", small_cnn()
    rnn = small_rnn(cnn)
    seal(folder, _card(save_networks(folder, cnn, rnn), cnn), cnn, rnn)
    return folder, cnn, rnn


def _card(files: dict[str, str], cnn: Cnn) -> Card:
    half = Thresholds(slice=dict.fromkeys(LABELS, 0.5), series=dict.fromkeys(LABELS, 0.5))
    return Card(
        name="small",
        description="random weights, for a test",
        created="2026-01-01",
        labels=LABELS,
        recipe=DEFAULT_RECIPE,
        feature_size=cnn.last.kernel.shape[0],
        files=files,
        versions={},
        training={},
        metrics={},
        temperatures={},
        thresholds={"default": half},
        licence="Apache-2.0",
        data_terms="none",
        limits_of_use=(),
    )


def test_a_bundle_answers_as_the_networks_do(written: Written) -> None:
    check(*written)


def test_a_lite0_bundle_answers_as_the_networks_do(tmp_path: Path) -> None:
    cnn = build_cnn(CnnShape(backbone="efficientnet-lite0"))
    rnn = small_rnn(cnn)
    seal(tmp_path, _card(save_networks(tmp_path, cnn, rnn), cnn), cnn, rnn)


def test_the_reference_is_the_output_of_the_written_graphs(written: Written) -> None:
    networks = [load_signature(written[0] / part / "1") for part in ("cnn", "rnn")]
    differences = replay(written[0], *networks)
    assert differences
    assert {difference.share for difference in differences} == {0.0}


def test_a_network_that_amplifies_rounding_is_exported_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cnn = _unstable_cnn()
    rnn = small_rnn(cnn)
    files = save_networks(tmp_path, cnn, rnn)
    cnn.serving.layers[-1].shift.assign(0.2)  # a difference that no trained network may have
    seal(tmp_path, _card(files, cnn), cnn, rnn)
    assert "it is untrained" in caplog.text


class Remainder(layers.Layer):  # type: ignore[misc]
    """A feature that one level of one pixel changes by half of its range, as an untrained deep network's."""

    def build(self, _: object) -> None:
        self.shift = self.add_weight(shape=(), initializer="zeros", name="shift")

    def call(self, slices: tf.Tensor) -> tf.Tensor:
        sums = tf.reduce_sum(tf.cast(slices, tf.int32), axis=(1, 2)) % 7919
        return tf.cast(sums * 4001 % 7919, tf.float32) / 7919 + self.shift

    def compute_output_spec(self, slices: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((slices.shape[0], 3), dtype="float32")


def _unstable_cnn() -> Cnn:
    slices = keras.Input((512, 512, 3), dtype="uint8", name="slices")
    serving, last = keras.Model(slices, Remainder()(slices)), layers.Dense(6)
    last.build((None, 3))
    return Cnn(serving, serving, last)


def test_a_cnn_with_other_weights_is_refused(written: Written) -> None:
    folder, cnn, rnn = written
    kernel = cnn.trunk.get_layer("features").kernel
    before = kernel.numpy()
    kernel.assign(before * 1.001)
    with pytest.raises(ExportMismatch, match="cnn: features"):
        check(folder, cnn, rnn)
    kernel.assign(before)


def test_another_networks_bundle_is_refused(written: Written) -> None:
    folder, cnn, rnn = written
    before = rnn.temperatures.slice.numpy()
    rnn.temperatures.slice.assign(before * 3)
    with pytest.raises(ExportMismatch, match="slice_probabilities"):
        check(folder, cnn, rnn)
    rnn.temperatures.slice.assign(before)


def test_a_bundle_that_answers_otherwise_loses_its_card(tmp_path: Path) -> None:
    cnn = small_cnn()
    rnn = small_rnn(cnn)
    files = save_networks(tmp_path, cnn, rnn)
    rnn.temperatures.series.assign([9.0] * 6)
    with pytest.raises(ExportMismatch):
        seal(tmp_path, _card(files, cnn), cnn, rnn)
    with pytest.raises(BundleError):
        open_bundle(tmp_path)


def test_a_changed_file_is_refused(written: Written) -> None:
    folder, cnn, rnn = written
    path = folder / "rnn" / "1" / "fingerprint.pb"
    kept = path.read_bytes()
    path.write_bytes(kept + b"x")
    with pytest.raises(BundleError):
        check(folder, cnn, rnn)
    path.write_bytes(kept)


def test_signatures_are_those_that_services_load(written: Written) -> None:
    folder, cnn, _ = written
    size = cnn.last.kernel.shape[0]
    call = tf.saved_model.load(str(folder / "cnn" / "1")).signatures["serving_default"]
    _, inputs = call.structured_input_signature
    assert inputs["slices"].shape.as_list() == [None, 512, 512, 3]
    assert inputs["slices"].dtype == tf.uint8
    assert call.structured_outputs["features"].shape.as_list() == [None, size]
    call = tf.saved_model.load(str(folder / "rnn" / "1")).signatures["serving_default"]
    _, inputs = call.structured_input_signature
    assert inputs["features"].shape.as_list() == [None, size]
    assert inputs["position_mm"].shape.as_list() == [None]
    assert call.structured_outputs["slice_probabilities"].shape.as_list() == [None, 6]
    assert call.structured_outputs["series_probabilities"].shape.as_list() == [6]


def test_no_operation_needs_a_gpu_or_a_compiler(written: Written) -> None:
    for part in ("cnn", "rnn"):
        graph = tf.saved_model.load(str(written[0] / part / "1")).signatures["serving_default"].graph.as_graph_def()
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        assert not [node.op for node in nodes if "cudnn" in node.op.lower() or "xla" in node.op.lower()]


def test_long_series_pass(written: Written) -> None:
    folder, cnn, _ = written
    call = tf.saved_model.load(str(folder / "rnn" / "1")).signatures["serving_default"]
    features = tf.zeros((2000, cnn.last.kernel.shape[0]))
    answer = call(features=features, position_mm=tf.range(2000, dtype=tf.float32))
    assert np.isfinite(answer["slice_probabilities"]).all()
