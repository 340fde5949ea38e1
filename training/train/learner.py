"""A CNN, its optimizer and the compiled step between them, on one device or on several."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from services.common.recipe import Recipe
from training.augment.windows import augmented
from training.data.batches import Batch
from training.networks.classifier import build_classifier, logits_of
from training.options.cnn import CnnPlan
from training.train.initial_weights import begin
from training.train.phantom_cnn import LABEL_WEIGHTS

RATE_AT_LAST = 0.02  # of the highest rate


class Learner:
    """One network in training; every device holds a copy and sees its share of each batch."""

    def __init__(self, plan: CnnPlan, recipe: Recipe, steps: int, strategy: Any = None) -> None:
        self.strategy = strategy or default_strategy()
        self.plan, self._recipe = plan, recipe
        keras.utils.set_random_seed(plan.seed)
        with self.strategy.scope():
            self.cnn = build_classifier(plan, plan.precision)
            begin(self.cnn, plan)
            self.learning = [*self.cnn.trunk.trainable_variables, *self.cnn.last.trainable_variables]
            self.optimizer = _optimizer(plan, steps)
            self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
            self.optimizer.build(self.learning)
        self._step = tf.function(self._on_all, jit_compile=False)
        self._logits = tf.function(self._answer, jit_compile=False, reduce_retracing=True)

    @property
    def devices(self) -> int:
        """How many copies there are."""
        return int(self.strategy.num_replicas_in_sync)

    def begin_at(self, base_rates: NDArray[np.float64]) -> None:
        """Let the untrained network say how often each label is true."""
        self.cnn.last.bias.assign(np.log(base_rates / (1 - base_rates)))

    def variables(self) -> list[Any]:
        """Everything that a checkpoint holds."""
        return [*self.weights(), *self.optimizer.variables]

    def weights(self) -> list[Any]:
        """The network's own."""
        return [*self.cnn.trunk.variables, *self.cnn.last.variables]

    def step(self, batch: Batch, number: int) -> float:
        """Learn from one batch; its loss before."""
        arrays = [batch.slices, batch.labels, batch.label_mask]
        parts = [np.array_split(array, self.devices) for array in arrays]
        shared = [self._spread(part) for part in parts]
        return float(self._step(*shared, tf.constant(number)))

    def logits(self, slices: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network says now, (n, 6)."""
        return np.asarray(self._logits(tf.constant(slices)))

    def averaged(self) -> list[Any]:
        """Put the running mean of the weights into the network; the weights that it had, to be put back."""
        current = [np.asarray(variable) for variable in self.learning]
        if self.plan.ema is not None:
            self.optimizer.finalize_variable_values(self.learning)
        return current

    def put_back(self, current: Sequence[Any]) -> None:
        """Undo `averaged`."""
        for variable, value in zip(self.learning, current, strict=True):
            variable.assign(value)

    def _spread(self, parts: Sequence[NDArray[Any]]) -> Any:
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    def _on_all(self, slices: Any, labels: Any, label_mask: Any, number: Any) -> Any:
        losses = self.strategy.run(self._on_one, args=(slices, labels, label_mask, number))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    def _on_one(self, slices: Any, labels: Any, label_mask: Any, number: Any) -> Any:
        """One device's share of the loss; the optimizer adds up the gradients of all."""
        context = tf.distribute.get_replica_context()
        seed = tf.stack([self.plan.seed, number * 64 + context.replica_id_in_sync_group])
        pictures = augmented(slices, seed, self.plan.augment, self._recipe)
        weights = tf.cast(label_mask, tf.float32) * LABEL_WEIGHTS
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(weights))
        with tf.GradientTape() as tape:
            logits = logits_of(self.cnn, pictures, training=True)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, tf.float32), logits)
            loss = tf.reduce_sum(losses * weights) / (total + 1e-6)
        self.optimizer.apply(tape.gradient(loss, self.learning), self.learning)
        return loss

    def _answer(self, slices: Any) -> Any:
        return logits_of(self.cnn, tf.cast(slices, tf.float32), training=False)


def default_strategy() -> Any:
    """All GPUs where there are several, else the one device there is."""
    gpus = tf.config.list_logical_devices("GPU")
    return tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()


def _optimizer(plan: CnnPlan, steps: int) -> Any:
    options: dict[str, Any] = {"use_ema": plan.ema is not None, "ema_momentum": plan.ema or 0.99, "clipnorm": 2.0}
    if plan.optimizer == "adam":
        return keras.optimizers.Adam(_rate(plan, steps), **options)
    return keras.optimizers.AdamW(_rate(plan, steps), weight_decay=plan.decay, **options)


def _rate(plan: CnnPlan, steps: int) -> Any:
    if not plan.falling:
        return plan.rate
    first = max(round(steps * plan.warm_up), 1)
    return keras.optimizers.schedules.CosineDecay(
        plan.rate * 0.05, max(steps - first, 1), warmup_target=plan.rate, warmup_steps=first, alpha=RATE_AT_LAST
    )
