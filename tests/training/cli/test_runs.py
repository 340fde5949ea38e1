from pathlib import Path
from typing import Any

import pytest

from training.cli.app import main
from training.cli.runs import _default_config
from training.configs.default import CONFIG, LARGE, MINUTES, MORE


def _options(**values: Any) -> dict[str, Any]:
    return {"begin": None, "minutes": None, "large": False, "soup": None} | values


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--process", "1/2"], "--process and --coordinator belong together"),
        (["--coordinator", "host:1"], "--process and --coordinator belong together"),
        (["--coordinator", "host:1", "--process", "3/2"], "is no part"),
        (["--coordinator", "host:1", "--process", "1/2"], "need KERAS_BACKEND=jax"),
    ],
)
def test_several_processes_need_each_a_number_one_address_and_jax(options: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        main(["cnn", *options])


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
