"""Settings of the rnn service, `ICH_RNN_*`."""

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from services.common.settings import ThreadedSettings


class Settings(ThreadedSettings):
    """Where the bundle lies. The network is small and runs on the CPU."""

    model_config = SettingsConfigDict(env_prefix="ICH_RNN_")

    bundle: Path = Path("models/default")
