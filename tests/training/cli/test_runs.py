from pathlib import Path
from typing import Any

from training.cli.runs import _default_config
from training.configs.default import CONFIG, LARGE, MINUTES, MORE


def _options(**values: Any) -> dict[str, Any]:
    return {"begin": None, "minutes": None, "large": False, "soup": None} | values


def test_the_default_configuration_depends_on_its_start_and_size() -> None:
    bundle = Path("some")
    assert _default_config(**_options()) == CONFIG
    assert _default_config(**_options(begin=bundle)).cnn == MORE.cnn
    large = _default_config(**_options(large=True, begin=bundle, soup=bundle))
    assert large.cnn == LARGE.cnn
    assert large.card.command == f"{LARGE.card.command} --begin BUNDLE --soup BUNDLE"


def test_minutes_scale_the_steps_and_stand_in_the_cards_command() -> None:
    half = _default_config(**_options(minutes=MINUTES / 2))
    assert CONFIG.cnn.steps
    assert half.cnn.steps == round(CONFIG.cnn.steps / 2)
    assert half.card.command == f"{CONFIG.card.command} --minutes {MINUTES / 2:g}"
