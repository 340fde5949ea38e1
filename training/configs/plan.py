"""What a bundle is made by from shards. A configuration is one `Plan` in a small Python file of `training/configs`."""

import pkgutil
import runpy
from dataclasses import dataclass
from typing import Any

from training.configs.phantom_config import Words
from training.io.errors import TrainingError
from training.networks.rnn import RnnShape
from training.networks.source_rnn import SourceShape
from training.options.cnn import CnnPlan
from training.options.rnn import RnnFit


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a bundle is made by; fold 0 is held out, `validation_fold` chooses; neither is learnt from."""

    words: Words
    cnn: CnnPlan
    rnn_shape: RnnShape | SourceShape
    rnn_fit: RnnFit
    validation_fold: int = 1


def load_plan(name: str) -> Plan:
    """The configuration of that name in `training.configs`, or `CONFIG` of a Python file.

    Raises
    ------
    TrainingError
        there is none
    """
    try:
        found = runpy.run_path(name)["CONFIG"] if name.endswith(".py") else _named(name)
    except (ImportError, AttributeError, KeyError, FileNotFoundError):
        raise TrainingError(f"There is no configuration {name}: give source, rsna, smoke or a Python file.") from None
    if not isinstance(found, Plan):
        raise TrainingError(f"{name} is no configuration for learning from shards.")
    return found


def _named(name: str) -> Any:
    return pkgutil.resolve_name(f"training.configs.{name}:CONFIG")
