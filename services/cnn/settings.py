"""Settings of the cnn service, `ICH_CNN_*`."""

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from services.common.settings import Device, StageSettings


class Settings(StageSettings):
    """Where the bundle lies and where its graph runs; `gpu` refuses to start without one."""

    model_config = SettingsConfigDict(env_prefix="ICH_CNN_")

    bundle: Path = Path("models/default")
    device: Device = "auto"
