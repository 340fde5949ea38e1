"""Settings of the preprocess service, `ICH_PREPROCESS_*`."""

import os
from pathlib import Path

from pydantic_settings import SettingsConfigDict

from services.common.settings import ThreadedSettings


class Settings(ThreadedSettings):
    """How many slices are worked on at once, how much one call may carry, and whether UIDs leave as they are."""

    model_config = SettingsConfigDict(env_prefix="ICH_PREPROCESS_")

    threads: int = 4
    decoders: int = os.cpu_count() or 2
    max_body_bytes: int = 1024**3
    max_slices: int = 64
    uid_key_file: Path | None = None
