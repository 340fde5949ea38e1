"""The Keras model that trains a CNN: random changes of pictures, trunk, last layer and loss."""

from typing import Any

import keras

from training.augment.affine import RandomAffine, transformed
from training.augment.scanner import RandomScanner
from training.augment.slices import RandomSlice
from training.networks.classifier import enter
from training.networks.cnn import SMALL, Cnn
from training.networks.loss import blood_loss, label_loss
from training.options.augment import PhantomAugment, SliceAugment
from training.options.cnn import CnnOptions

PICTURE = (512, 512, 3)


class TrainingModel(keras.Model):  # type: ignore[misc] # Keras has no types
    """From pictures (b, s, s, c) uint8 to logits (b, 6) and, with `blood_weight`, the map of blood.

    Targets are labels and label_mask (b, 6), and with `blood_weight` the blood (b, 32, 32, 5) uint8.
    """

    def __init__(self, cnn: Cnn, options: CnnOptions) -> None:
        inputs = keras.Input(SMALL if isinstance(options.augment, PhantomAugment) else PICTURE, dtype="uint8")
        pictures, *transforms = _augmented(inputs, options)
        vector, *grid = keras.tree.flatten(cnn.trunk(enter(cnn, pictures)))
        outputs = [*grid, *transforms] if options.blood_weight else []
        super().__init__(inputs, [cnn.last(vector), *outputs], name="training")
        self.blood_weight = options.blood_weight

    def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002 - Keras gives it
        """Return the loss that Keras' trainer minimises."""
        logits, *rest = keras.tree.flatten(y_pred)
        labels, label_mask, *blood = y
        loss = label_loss(logits, labels, label_mask)
        if not self.blood_weight:
            return loss
        grid, *transforms = rest
        (target,) = blood
        for transform in transforms:
            target = transformed(keras.ops.cast(target, "float32"), transform)
        return loss + self.blood_weight * blood_loss(grid, target)


def _augmented(inputs: Any, options: CnnOptions) -> list[Any]:
    """The pictures, and the transforms that their maps of blood need too."""
    limits, seed = options.augment, options.seed
    if isinstance(limits, SliceAugment):
        return [RandomSlice(limits, seed=seed)(inputs)]
    pictures, *transforms = (
        RandomAffine(most_deg=limits.turn_deg, seed=seed + 1)(inputs) if limits.turn_deg else (inputs,)
    )
    return [_scanner(limits, seed)(pictures), *transforms]


def _scanner(limits: PhantomAugment, seed: int) -> RandomScanner:
    return RandomScanner(
        noise_hu=limits.noise_hu, grain=limits.grain, slow_hu=limits.slow_hu, kernel=limits.kernel, seed=seed
    )


def build_optimizer(options: CnnOptions, steps: int) -> Any:
    """Return the optimizer with its learning rate schedule over `steps` batches."""
    average: dict[str, Any] = {"use_ema": options.ema is not None, "ema_momentum": options.ema or 0.99}
    rate = _rate(options, steps)
    if options.optimizer == "adam":
        return keras.optimizers.Adam(rate, clipnorm=2.0, **average)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=options.decay, clipnorm=2.0, **average)
    if not options.decay_biases:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _rate(options: CnnOptions, steps: int) -> Any:
    if options.schedule == "constant":
        return options.rate
    first = max(int(steps * options.warm_up), 1)
    decay_steps = steps if options.schedule == "long-cosine" else max(steps - first, 1)
    return keras.optimizers.schedules.CosineDecay(
        options.rate * 0.05, decay_steps, warmup_target=options.rate, warmup_steps=first, alpha=0.02
    )
