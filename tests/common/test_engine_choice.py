import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from services.common.card import Bundle, open_bundle
from services.common.engine_cache import MeasurementKey, write_measurement
from services.common.engine_choice import EngineOptions, load_network
from services.common.engine_measurement import CallTime, Measurement
from services.common.engines import EngineUnavailable, engine_title
from services.common.reference import REFERENCE
from tests.running import ROOT

BUNDLE = open_bundle(ROOT / "models" / "default")
TENSORFLOW, OPENVINO = engine_title("tensorflow"), engine_title("openvino")


def _measured(*tensorflow: CallTime) -> Measurement:
    """OpenVINO takes 2 and 30 ms of two cores."""
    openvino = (CallTime(wall_ms=2, core_ms=4), CallTime(wall_ms=30, core_ms=60))
    return Measurement(difference=1e-6, tensorflow=tensorflow, openvino=openvino)


EQUAL = _measured(CallTime(wall_ms=2, core_ms=4), CallTime(wall_ms=30, core_ms=60))
FASTER = _measured(CallTime(wall_ms=1, core_ms=2), CallTime(wall_ms=20, core_ms=40))
DISTURBED = _measured(CallTime(wall_ms=1, core_ms=4), CallTime(wall_ms=3, core_ms=60))
DIFFERENT = Measurement(difference=1e-3)


def _rnn(bundle: Bundle = BUNDLE, cache: Path | None = None) -> str:
    return load_network(bundle, "rnn", EngineOptions(cache=cache, device="cpu", time_limit_s=600)).engine


def test_the_first_start_measures_and_the_next_one_reads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert _rnn(cache=tmp_path / "engines") in (TENSORFLOW, OPENVINO)
    (stored,) = (tmp_path / "engines").iterdir()
    before = stored.read_text(), stored.stat().st_mtime_ns
    assert '"difference":' in before[0]
    _rnn(cache=tmp_path / "engines")
    assert (stored.read_text(), stored.stat().st_mtime_ns) == before
    assert [record.message for record in caplog.records].count("measured the engines") == 1


@pytest.mark.parametrize(
    ("measured", "engine"), [(EQUAL, OPENVINO), (FASTER, TENSORFLOW), (DISTURBED, OPENVINO), (DIFFERENT, TENSORFLOW)]
)
def test_the_stored_measurement_decides(tmp_path: Path, measured: Measurement, engine: str) -> None:
    write_measurement(tmp_path, MeasurementKey.current(BUNDLE, "rnn"), measured)
    assert _rnn(cache=tmp_path) == engine


def test_openvino_is_not_taken_where_it_differs_from_the_reference(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(BUNDLE.folder / "rnn", tmp_path / "rnn")
    with np.load(BUNDLE.folder / REFERENCE) as held:
        stored = {name: held[name] for name in held.files}
    stored["rnn/series_probabilities"] = stored["rnn/series_probabilities"] + np.float32(2e-4)
    np.savez(tmp_path / REFERENCE, **stored)
    bundle = BUNDLE.model_copy(update={"folder": tmp_path})
    assert _rnn(bundle) == TENSORFLOW
    assert "series_probabilities differs by 2.0e-04" in caplog.text
    with pytest.raises(EngineUnavailable, match=r"series_probabilities differs by 2\.0e-04"):
        load_network(bundle, "rnn", EngineOptions(engine="openvino"))


def test_a_bundle_without_a_reference_is_said_to_be_unchecked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(BUNDLE.folder / "rnn", tmp_path / "rnn")
    assert _rnn(BUNDLE.model_copy(update={"folder": tmp_path})) == OPENVINO
    assert "unchecked" in caplog.text


def test_a_graph_that_openvino_refuses_runs_on_tensorflow(tmp_path: Path) -> None:
    class Resized(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None, 512, 512, 3), tf.uint8, name="slices")])  # type: ignore[untyped-decorator]
        def serve(self, slices: tf.Tensor) -> dict[str, tf.Tensor]:
            resized = tf.image.resize(slices, (8, 8), antialias=True)
            return {"features": tf.reduce_mean(resized, axis=(1, 2))}

    module = Resized()
    tf.saved_model.save(module, str(tmp_path / "cnn" / "1"), signatures={"serving_default": module.serve})
    bundle = BUNDLE.model_copy(update={"folder": tmp_path})
    network = load_network(bundle, "cnn", EngineOptions(device="cpu"))
    assert network.engine == TENSORFLOW
    np.testing.assert_allclose(network.call(slices=np.full((1, 512, 512, 3), 7, np.uint8))["features"], [[7, 7, 7]])
    with pytest.raises(EngineUnavailable, match="cannot convert"):
        load_network(bundle, "cnn", EngineOptions(engine="openvino"))
