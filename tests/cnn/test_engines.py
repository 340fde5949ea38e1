"""TensorFlow and OpenVINO on the default bundle."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.cnn.engines import EngineUnavailable, cpu_precisions, load_extractor
from services.cnn.settings import Settings
from services.common.card import open_bundle
from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.pipeline import Pipeline
from services.rnn.model import SavedModelScorer
from tests.running import ROOT

BUNDLE = open_bundle(ROOT / "models" / "default")


def _slices() -> NDArray[np.uint8]:
    """Every third slice of the sample series, windowed by preprocess."""
    files = [path.read_bytes() for path in sorted((ROOT / "samples" / "series").glob("*.dcm"))[::3]]
    frames = np.array([(number, 0) for number in range(len(files))], np.int32)
    with Pipeline(DEFAULT_RECIPE, threads=1) as pipeline:
        return pipeline.make_slices(files, frames).slices


def _scores(features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    position_mm = np.arange(len(features), dtype=np.float32) * 5
    return SavedModelScorer(BUNDLE.saved_model("rnn")).score(features, position_mm)


def _by(settings: Settings) -> NDArray[np.float32]:
    return load_extractor(settings, BUNDLE).extract(_slices())["features"]


def test_openvino_agrees_with_tensorflow() -> None:
    features = [_by(Settings(engine=engine)) for engine in ("tensorflow", "openvino")]
    for one, two in zip(*map(_scores, features), strict=True):
        assert np.abs(one - two).max() < 1e-4
    assert np.abs(features[0] - features[1]).max() < 1e-4 * np.abs(features[0]).max()


@pytest.mark.skipif("bf16" not in cpu_precisions(), reason="needs a CPU with bfloat16")
def test_bfloat16_changes_probabilities_by_less_than_a_tenth() -> None:
    whole, half = (_by(Settings(engine="openvino", mixed_precision=mixed)) for mixed in (False, True))
    largest = max(np.abs(one - two).max() for one, two in zip(_scores(whole), _scores(half), strict=True))
    assert 0 < largest < 0.1


def test_a_cpu_without_bfloat16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.common.openvino_model.cpu_precisions", lambda: ("f32",))
    with pytest.raises(EngineUnavailable, match="ICH_CNN_MIXED_PRECISION"):
        load_extractor(Settings(engine="openvino", mixed_precision=True), BUNDLE)


def test_openvino_on_a_gpu_is_refused() -> None:
    with pytest.raises(EngineUnavailable):
        load_extractor(Settings(engine="openvino", device="gpu"), BUNDLE)
