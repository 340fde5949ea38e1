"""Settings of the preprocess service, `ICH_PREPROCESS_*`."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import ThreadedSettings


class Settings(ThreadedSettings):
    """Parallelism and limits of requests, and the key that hashes UIDs."""

    model_config = SettingsConfigDict(env_prefix="ICH_PREPROCESS_")

    threads: int = Field(default=4, description="Number of requests processed at the same time, one thread each.")
    decoders: int = Field(
        default_factory=lambda: os.cpu_count() or 2,
        description="Number of slices decoded and windowed at the same time, over all requests; "
        "the number of CPU cores where unset.",
    )
    max_body_bytes: int = Field(
        default=1024**3, description="Largest request body, in bytes; a larger one is answered with 413."
    )
    max_slices: int = Field(
        default=64, description="Largest number of slices in one request; a larger one is answered with 400."
    )
    uid_key_file: Path | None = Field(
        default=None,
        description="File with a secret key of at least 16 bytes that replaces every DICOM UID by a keyed hash; "
        "unset, UIDs stay as they are.",
    )
