"""How fast a device is, and what all of RSNA would take on it."""

from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf

TRAINING_SLICES: Final = 752_803
TEST_SLICES: Final = 121_232
LEARNING_SHARE: Final = 3 / 5  # of five folds, one is held out and one chooses


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds that a step of so many slices takes."""

    batch: int
    step_s: float
    epochs: float

    @property
    def slices_a_second(self) -> float:
        return self.batch / self.step_s if self.step_s else 0.0

    @property
    def hours(self) -> float:
        """Of the CNN's learning on all of RSNA, without the watches on the validation fold."""
        return TRAINING_SLICES * LEARNING_SHARE * self.epochs / max(self.slices_a_second, 1e-9) / 3600

    def words(self) -> str:
        """One line about this device."""
        rate = f"{self.slices_a_second:.2f} slices/s on {device()}"
        return f"{rate}; all of RSNA ({self.epochs:g} epochs of three folds): {self.hours:.1f} hours"

    def figures(self) -> dict[str, Any]:
        """For the step's note."""
        rate = round(self.slices_a_second, 3)
        return {"slices_a_second": rate, "projected_hours": round(self.hours, 1), "device": device()}

    @staticmethod
    def hours_of_features(rate: float) -> str:
        """What the features of all slices would take."""
        return f"{(TRAINING_SLICES + TEST_SLICES) / rate / 3600:.1f} hours on {device()}"


def device() -> str:
    """What computes here."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    return ", ".join(names) if names else "CPU"
