"""The engines side by side on the bundle that ships."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.cnn.engines import NoSuchEngine, load_extractor
from services.cnn.settings import Settings
from services.common.card import open_bundle
from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.pipeline import Pipeline
from services.rnn.model import SavedModelScorer
from tests.running import ROOT

BUNDLE = open_bundle(ROOT / "models" / "default")


def _slices() -> NDArray[np.uint8]:
    """Every third slice of the sample series, as preprocess makes it."""
    files = [path.read_bytes() for path in sorted((ROOT / "samples" / "series").glob("*.dcm"))[::3]]
    frames = np.array([(number, 0) for number in range(len(files))], np.int32)
    with Pipeline(DEFAULT_RECIPE, threads=1) as pipeline:
        return pipeline.make_slices(files, frames).slices


def test_openvino_says_what_tensorflow_says() -> None:
    slices = _slices()
    features = [
        load_extractor(Settings(engine=engine), BUNDLE).extract(slices)["features"]
        for engine in ("tensorflow", "openvino")
    ]
    scorer = SavedModelScorer(BUNDLE.saved_model("rnn"))
    position_mm = np.arange(len(slices), dtype=np.float32) * 5
    scores = [scorer.score(rows, position_mm) for rows in features]
    for one, two in zip(*scores, strict=True):
        assert np.abs(one - two).max() < 1e-3
    assert np.abs(features[0] - features[1]).max() < 1e-3 * np.abs(features[0]).max()


def test_openvino_is_not_for_a_gpu() -> None:
    with pytest.raises(NoSuchEngine):
        load_extractor(Settings(engine="openvino", device="gpu"), BUNDLE)
