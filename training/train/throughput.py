"""Throughput of a device, projected to all of RSNA."""

from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf

TRAINING_SLICES: Final = 752_803
TEST_SLICES: Final = 121_232
TRAINED_SHARE: Final = 3 / 5  # of five folds, one is held out and one is for validation


@dataclass(frozen=True, slots=True)
class Throughput:
    """Duration of a step with `batch` slices."""

    batch: int
    step_s: float
    epochs: float

    @property
    def slices_a_second(self) -> float:
        return self.batch / self.step_s if self.step_s else 0.0

    @property
    def hours(self) -> float:
        """Hours of the CNN's training on all of RSNA, without validation."""
        return TRAINING_SLICES * TRAINED_SHARE * self.epochs / max(self.slices_a_second, 1e-9) / 3600

    def text(self) -> str:
        """Describe this device in one line."""
        rate = f"{self.slices_a_second:.2f} slices/s on {device()}"
        return f"{rate}; all of RSNA ({self.epochs:g} epochs of three folds): {self.hours:.1f} hours"

    def figures(self) -> dict[str, Any]:
        """Return figures for the run's record."""
        rate = round(self.slices_a_second, 3)
        return {"slices_a_second": rate, "projected_hours": round(self.hours, 1), "device": device()}

    @staticmethod
    def hours_of_features(rate: float) -> str:
        """Return the time for the features of all slices."""
        return f"{(TRAINING_SLICES + TEST_SLICES) / rate / 3600:.1f} hours on {device()}"


def device() -> str:
    """Return the name of the device."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    return ", ".join(names) if names else "CPU"
