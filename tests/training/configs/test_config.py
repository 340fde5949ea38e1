from pathlib import Path

import pytest

from training.configs.config import NAMES, load_config
from training.configs.default import CONFIG, LARGE, MORE
from training.io.errors import TrainingError
from training.networks.classifier import ClassifierShape


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_is_found_by_its_name(name: str) -> None:
    config = load_config(name)
    assert config.card.name == name
    assert isinstance(config.cnn_shape, ClassifierShape)
    assert config.phantoms is None
    assert config.cnn.stream is None


def test_a_python_file_is_a_configuration(tmp_path: Path) -> None:
    text = "from dataclasses import replace\nfrom training.configs.smoke import CONFIG\n"
    (tmp_path / "own.py").write_text(text + "CONFIG = replace(CONFIG, validation_fold=2)\n")
    assert load_config(str(tmp_path / "own.py")).validation_fold == 2


@pytest.mark.parametrize("name", ["rnsa", "nowhere.py", "default", "config"])
def test_an_unknown_name_is_an_error_with_the_known_ones(name: str) -> None:
    with pytest.raises(TrainingError, match="use rsna, source, smoke or a Python file"):
        load_config(name)


@pytest.mark.parametrize("text", ["", "CONFIG = 3", "from training.configs.default import CONFIG"])
def test_a_file_without_a_configuration_for_shards_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(TrainingError, match=r"own\.py has no CONFIG"):
        load_config(str(tmp_path / "own.py"))


def test_only_a_configuration_of_phantoms_is_scaled() -> None:
    with pytest.raises(ValueError, match="phantoms"):
        load_config("smoke").scaled(0.5)


@pytest.mark.parametrize("config", [CONFIG, MORE, LARGE])
def test_configurations_of_phantoms_train_on_a_stream_with_masks(config: object) -> None:
    assert config.cnn.stream  # type: ignore[attr-defined]
    assert config.cnn.blood_weight > 0  # type: ignore[attr-defined]
    assert config.phantoms.calibration == 150  # type: ignore[attr-defined]
