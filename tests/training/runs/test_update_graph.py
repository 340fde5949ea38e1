import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from services.cnn.model import SavedModelExtractor
from services.common.bundle_files import hash_files
from services.common.card import open_bundle
from tests.bundles import write_bundle
from training.configs.default import CNN_SHAPE
from training.io.errors import TrainingError
from training.networks.classifier import ClassifierShape
from training.runs.update_graph import update_graph

BUNDLE = Path("models/default")
GRAPH = ("cnn/1/fingerprint.pb", "cnn/1/saved_model.pb")


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "updated"
    lines = list(update_graph(BUNDLE, out, CNN_SHAPE))
    assert any("features matches its reference" in line for line in lines)
    return out


def test_only_the_graph_changes(updated: Path) -> None:
    before, after = (open_bundle(folder).card for folder in (BUNDLE, updated))
    assert before.files.keys() == after.files.keys()
    changed = {name for name, digest in after.files.items() if before.files[name] != digest}
    assert changed <= set(GRAPH)
    changing = {"files", "created", "training"}
    assert before.model_dump(exclude=changing) == after.model_dump(exclude=changing)
    assert after.training["graph"]["before"] == {
        "created": before.created,
        "card_sha256": open_bundle(BUNDLE).card_sha256,
    }
    assert {name: value for name, value in after.training.items() if name != "graph"} == {
        name: value for name, value in before.training.items() if name != "graph"
    }


def test_the_outputs_stay(updated: Path) -> None:
    slices = np.random.default_rng(0).integers(0, 256, (2, 512, 512, 3), dtype=np.uint8)
    before, after = (SavedModelExtractor(folder / "cnn" / "1").extract(slices) for folder in (BUNDLE, updated))
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert np.abs(values - after[name]).max() < 1e-4 * np.abs(values).max()


def test_the_graph_has_no_normalisation_and_no_strided_halving(updated: Path) -> None:
    graph = tf.saved_model.load(str(updated / "cnn" / "1")).signatures["serving_default"].graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert not [node.name for node in nodes if "batchnorm" in node.name or node.op in ("FloorDiv", "Cumsum")]
    assert sum(node.op == "BiasAdd" for node in nodes) >= 49


def test_a_folder_that_exists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="exists"):
        list(update_graph(BUNDLE, tmp_path, CNN_SHAPE))


def test_another_network_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="other shapes"):
        list(update_graph(BUNDLE, tmp_path / "out", ClassifierShape("vgg16", side=32)))
    assert not (tmp_path / "out").exists()


def test_a_bundle_that_differs_from_its_reference_gets_no_card(tmp_path: Path) -> None:
    folder = tmp_path / "altered"
    _copy_with_other_reference(folder)
    with pytest.raises(TrainingError, match="features differs from its reference"):
        list(update_graph(folder, tmp_path / "out", CNN_SHAPE))
    assert not (tmp_path / "out" / "card.json").exists()


def test_no_bundle_is_refused(tmp_path: Path) -> None:
    (write_bundle(tmp_path / "bundle") / "card.json").unlink()
    with pytest.raises(TrainingError):
        list(update_graph(tmp_path / "bundle", tmp_path / "out", CNN_SHAPE))


def _copy_with_other_reference(folder: Path) -> None:
    shutil.copytree(BUNDLE, folder)
    with np.load(folder / "reference.npz") as held:
        arrays = {name: held[name] for name in held.files}
    arrays["cnn/features"] = arrays["cnn/features"] * 1.01
    np.savez_compressed(folder / "reference.npz", **arrays)
    card = json.loads((folder / "card.json").read_bytes())
    card["files"] = hash_files(folder)
    (folder / "card.json").write_text(json.dumps(card))
