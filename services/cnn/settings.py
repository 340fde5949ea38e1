"""Settings of the cnn service, `ICH_CNN_*`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.cnn.batching import BatchLimits
from services.common.engines import EngineSetting
from services.common.settings import BUNDLE_KEYS, ENGINE_CACHE, Device, StageSettings


class Settings(StageSettings):
    """The bundle, the engine and device that run its CNN, and dynamic batching."""

    model_config = SettingsConfigDict(env_prefix="ICH_CNN_")

    bundle: Path = Field(default=Path("models/default"), description="Folder of the bundle to serve.")
    bundle_keys: Path | None = Field(default=None, description=BUNDLE_KEYS)
    device: Device = Field(
        default="auto", description="`gpu` stops the start where there is none; `auto` uses a GPU where there is one."
    )
    mixed_precision: bool = Field(
        default=False,
        description="Compute in 16 bits: TensorFlow on a GPU where its rules hold that safe, OpenVINO in bfloat16 on a "
        "CPU that supports it, only where `engine` names it.",
    )
    engine: EngineSetting = Field(
        default="auto",
        description="`auto`: TensorFlow on a GPU; on a CPU the faster of OpenVINO and TensorFlow. `openvino` supports "
        "no GPU here.",
    )
    engine_cache: Path | None = Field(default=None, description=ENGINE_CACHE)
    max_batch: int = Field(default=16, description="Largest number of slices in one batch; a GPU needs larger batches.")
    max_held: int = Field(
        default=256,
        description="Largest number of slices over all requests in progress; a request beyond it is answered with 503.",
    )
    max_delay_s: float = Field(
        default=0.0,
        description="Seconds that a batch below `max_batch` waits for more slices; a few milliseconds help a GPU only.",
    )

    def batch_limits(self) -> BatchLimits:
        """Limits of dynamic batching."""
        return BatchLimits(self.max_batch, self.max_held, self.max_delay_s)
