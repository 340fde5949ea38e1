"""Settings of the rnn service, `ICH_RNN_*`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.engines import EngineSetting
from services.common.settings import BUNDLE_KEYS, ENGINE_CACHE, ThreadedSettings


class Settings(ThreadedSettings):
    """The bundle. Its RNN is small and runs on the CPU."""

    model_config = SettingsConfigDict(env_prefix="ICH_RNN_")

    bundle: Path = Field(default=Path("models/default"), description="Folder of the bundle to serve.")
    bundle_keys: Path | None = Field(default=None, description=BUNDLE_KEYS)
    engine: EngineSetting = Field(
        default="auto",
        description="`auto`: the faster of OpenVINO and TensorFlow; OpenVINO takes a sixth of the memory.",
    )
    engine_cache: Path | None = Field(default=None, description=ENGINE_CACHE)
