"""Settings of the cnn service, `ICH_CNN_*`."""

from pathlib import Path
from typing import Literal

from pydantic_settings import SettingsConfigDict

from services.cnn.batching import Bounds
from services.common.settings import Device, StageSettings

Engine = Literal["tensorflow", "openvino"]


class Settings(StageSettings):
    """Where the bundle lies, what runs its graph and where, and how slices gather.

    device : `gpu` refuses to start without one
    mixed_precision : 16 bits; by TensorFlow where it holds them safe, on a GPU alone (not measured on one yet); by
        OpenVINO bfloat16, on a CPU that has it: a large network in a fraction of the time, at a price (docs/speed.md)
    engine : `openvino` is faster on CPUs, and knows no GPU here
    max_batch, max_held, max_delay_s : see `Bounds`; a GPU wants larger batches, and a delay of a few milliseconds
    """

    model_config = SettingsConfigDict(env_prefix="ICH_CNN_")

    bundle: Path = Path("models/default")
    device: Device = "auto"
    mixed_precision: bool = False
    engine: Engine = "tensorflow"
    max_batch: int = 16
    max_held: int = 256
    max_delay_s: float = 0.0

    def bounds(self) -> Bounds:
        """How slices gather."""
        return Bounds(self.max_batch, self.max_held, self.max_delay_s)
