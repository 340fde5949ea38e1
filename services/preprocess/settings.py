"""Settings of the preprocess service, `ICH_PREPROCESS_*`."""

import os

from pydantic_settings import SettingsConfigDict

from services.common.settings import StageSettings


class Settings(StageSettings):
    """How many slices are worked on at once, and how much one call may carry."""

    model_config = SettingsConfigDict(env_prefix="ICH_PREPROCESS_")

    threads: int = 4
    decoders: int = os.cpu_count() or 2
    max_body_bytes: int = 1024**3
    max_slices: int = 64
