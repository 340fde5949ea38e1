import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.bundles import write_bundle
from training.bundle.reference import replay, write_reference
from training.bundle.verify import verify
from training.io.errors import TrainingError

SHIPPED = Path("models/default")


def _cnn(**inputs: np.ndarray) -> dict[str, np.ndarray]:
    return {"features": inputs["slices"].mean(axis=(1, 2)).astype(np.float32)}


def _rnn(**inputs: np.ndarray) -> dict[str, np.ndarray]:
    return {"slice_probabilities": inputs["features"] / 255 + inputs["position_mm"][:, None] / 100}


def test_the_same_networks_answer_the_same(tmp_path: Path) -> None:
    write_reference(tmp_path, _cnn, _rnn)
    found = replay(tmp_path, _cnn, _rnn)
    assert found is not None
    assert {(each.part, each.output) for each in found} == {("cnn", "features"), ("rnn", "slice_probabilities")}
    assert max(each.share for each in found) == 0
    assert (tmp_path / "reference.npz").stat().st_size < 20_000


def test_another_network_answers_otherwise(tmp_path: Path) -> None:
    write_reference(tmp_path, _cnn, _rnn)
    found = replay(tmp_path, _cnn, lambda **inputs: {"slice_probabilities": _rnn(**inputs)["slice_probabilities"] + 1})
    assert found is not None
    assert [each.share > 0.1 for each in found] == [False, True]


def test_a_bundle_without_answers_is_told(tmp_path: Path) -> None:
    assert replay(tmp_path, _cnn, _rnn) is None


def test_a_changed_file_ends_in_a_sentence(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    (bundle / "cnn" / "1" / "saved_model.pb").write_bytes(b"other")
    with pytest.raises(TrainingError, match=r"cnn/1/saved_model\.pb"):
        list(verify(bundle))


def _copy(folder: Path) -> Path:
    shutil.copytree(SHIPPED, folder)
    return folder


def _state(folder: Path, name: str) -> None:
    """Let the card state the file's present hash."""
    card = json.loads((folder / "card.json").read_text())
    card["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))


def test_the_shipped_bundle_matches_its_reference() -> None:
    lines = list(verify(SHIPPED))
    assert "files match it" in lines[0]
    assert sum("matches its reference within" in line for line in lines) == 4
    assert lines[-1].startswith("data: synthetic")


def test_another_reference_is_named_with_its_output(tmp_path: Path) -> None:
    bundle = _copy(tmp_path / "bundle")
    with np.load(bundle / "reference.npz") as stored:
        arrays = dict(stored)
    arrays["rnn/series_probabilities"] = arrays["rnn/series_probabilities"] + np.float32(0.1)
    np.savez_compressed(bundle / "reference.npz", **arrays)
    _state(bundle, "reference.npz")
    with pytest.raises(TrainingError, match=r"rnn: series_probabilities differs from its reference by 0\.1"):
        list(verify(bundle))


def test_a_bundle_without_a_reference_is_reported(tmp_path: Path) -> None:
    bundle = _copy(tmp_path / "bundle")
    (bundle / "reference.npz").unlink()
    card = json.loads((bundle / "card.json").read_text())
    del card["files"]["reference.npz"]
    (bundle / "card.json").write_text(json.dumps(card))
    assert "holds no reference outputs" in list(verify(bundle))[-1]
